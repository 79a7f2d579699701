"""One integration as a Dagster component: a ``defs.yaml`` becomes assets, checks, a job, a schedule and sensors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import dagster as dg
from dagster.components.resolved.core_models import AssetAttributesModel
from dagster.components.resolved.errors import ResolutionException
from dagster.components.utils.translation import TranslationFn, TranslatorResolvingInfo
from pydantic import BaseModel, GetJsonSchemaHandler, RootModel, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from crm_pipeline.configuration.files import YamlDocument, read_documents, refusal
from crm_pipeline.configuration.problems import KeyPath, Problem, ProblemsError, problems_of, without_credentials
from crm_pipeline.integration import NAME_PATTERN, IntegrationAttributes, IntegrationSpec, WrittenAttributes
from crm_pipeline.orchestration.translating import TRANSLATION, AssetProps
from crm_pipeline.scaffolding import IntegrationScaffolder
from crm_pipeline.translation import AssetTranslation, Translated

ATTRIBUTES = "attributes"
NO_VALUE = "the template gives no value; is the variable that it names defined?"


class _AsWritten(RootModel[dict[Any, Any]]):
    """The attributes as the YAML has them: described to Dagster's tools, but not validated by them, whose messages repeat values."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The attributes' schema, which refuses nothing: for each fault ``dg check`` would print lines of the YAML, secrets included."""
        described = handler.resolve_ref_schema(handler(WrittenAttributes.__pydantic_core_schema__))
        told = ("title", "description", "examples", "default")
        return {name: described[name] for name in told if name in described} | {
            "properties": {
                key: {**{name: below[name] for name in told if name in below}, "anyOf": [below, {}]}
                for key, below in described["properties"].items()
            }
        }


@dg.scaffold_with(IntegrationScaffolder)
class CrmIntegration(IntegrationAttributes, dg.Component, dg.Model, dg.Resolvable):
    """Keeps the CRMs of one integration current with one QBench tenant; the folder of its defs.yaml names the integration."""

    translation: TranslationFn[AssetProps] | None = None
    """Makes what Dagster shows of an asset, of the spec that it has and of its props; ``get_asset_spec`` may do the same."""

    @classmethod
    def model(cls) -> type[BaseModel]:
        """What Dagster and its tools know of the YAML: every key with its description and an example."""
        return _AsWritten

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> Self:
        """Make the component of its YAML. Raises ConfigurationError with every problem's file and line."""
        raw = attributes.root if isinstance(attributes, _AsWritten) else {}
        document = _document(context)
        # Its templates are rendered once for each asset.
        now = {key: value for key, value in raw.items() if key != TRANSLATION}
        rendered = {path: _rendered(text, context) for path, text in _templates(now)}
        filled = _filled(raw, {path: value for path, value in rendered.items() if value is not None})
        as_written = [
            *(document.traps(ATTRIBUTES) if document else ()),
            *(Problem(path, NO_VALUE) for path, value in rendered.items() if value is None),
        ]
        problems = without_credentials(as_written, model=WrittenAttributes) if as_written else []
        written, told = _validated(Translated, {key: value for key, value in filled.items() if key == TRANSLATION})
        component, told_of_others = _validated(cls, {key: value for key, value in filled.items() if key != TRANSLATION})
        problems += [*told, *told_of_others]
        place = list(_place_problems(context))
        if component and written and written.translation is not None and not place and not problems:
            component = component.model_copy(update={TRANSLATION: _translation(written.translation, context)})
            problems += component.translation_problems(_name(context))
        problems = [*place, *(problem.below(ATTRIBUTES) for problem in problems)]
        if problems or component is None:
            raise refusal(subject=f"integration {_name(context)}", document=document, problems=problems)
        return component

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The integration's definitions. Pure: no I/O, no credential is read."""
        from crm_pipeline.orchestration.assets import build_integration

        try:
            return build_integration(self.spec(_name(context)), self.get_asset_spec)
        except ProblemsError as error:  # of a component made in Python: a YAML was refused before
            raise refusal(subject=f"integration {_name(context)}", document=None, problems=error.problems) from None

    def get_asset_spec(self, props: AssetProps) -> dg.AssetSpec:
        """What Dagster shows of one asset: the integration's own spec, changed by the YAML's ``translation``.

        A subclass may change it further: ``super().get_asset_spec(props).replace_attributes(group_name=...)``.
        """
        return props.spec if self.translation is None else self.translation(props.spec, props)

    def spec(self, name: str) -> IntegrationSpec:
        """The integration of this name."""
        attributes = {key: getattr(self, key) for key in IntegrationAttributes.model_fields}
        return IntegrationSpec(name=name, **attributes)

    def translation_problems(self, name: str) -> Sequence[Problem]:
        """What is wrong with what the translation makes of the assets of the integration of this name."""
        from crm_pipeline.orchestration.specs import AssetSpecs

        try:
            AssetSpecs(self.spec(name), self.get_asset_spec)
        except ProblemsError as error:
            return error.problems
        return ()


_Model = TypeVar("_Model", bound=BaseModel)


def _validated(model: type[_Model], values: Mapping[str, Any]) -> tuple[_Model | None, list[Problem]]:
    """What a model makes of values of the YAML, or what is wrong with them."""
    try:
        return model.model_validate(values), []
    except ValidationError as error:
        return None, problems_of(error, model=WrittenAttributes, raw=values)


def _translation(written: AssetTranslation | str, context: dg.ComponentLoadContext) -> TranslationFn[AssetProps]:
    """The YAML's translation as Dagster applies it."""
    made = written if isinstance(written, str) else AssetAttributesModel(**written.model_dump(mode="json", exclude_unset=True))
    resolving = TranslatorResolvingInfo(made, context.resolution_context.at_path(ATTRIBUTES), model_key=TRANSLATION)
    return lambda spec, props: resolving.get_asset_spec(spec, {"spec": spec, "props": props})


def _name(context: dg.ComponentLoadContext) -> str:
    return context.component_path.file_path.name


def _document(context: dg.ComponentLoadContext) -> YamlDocument | None:
    """The YAML that the component comes from; None where it comes from Python."""
    tree = context.resolution_context.source_position_tree
    if tree is None:
        return None
    position = context.component_path.instance_key
    return read_documents(Path(tree.position.filename))[position if isinstance(position, int) else 0]


def _place_problems(context: dg.ComponentLoadContext) -> Iterator[Problem]:
    """What is wrong with where the YAML stands, as its place is the integration's name."""
    name = _name(context)
    if not re.fullmatch(NAME_PATTERN, name):
        proposal = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
        remedy = f", for example `{proposal[:31]}`" if re.fullmatch(NAME_PATTERN, proposal[:31]) else ""
        yield Problem(
            (),
            f"the folder's name is the integration's, and `{name}` cannot be one; rename the folder to at most 31 "
            f"lower-case letters, digits and _, a letter first{remedy}",
        )
    if context.component_path.instance_key not in {None, 0}:
        yield Problem((), "a second document in one file would have the same name; give each integration a folder of its own")
    for other in _namesakes(context):
        yield Problem((), f"{other} has the same name; rename one of the two folders")


def _namesakes(context: dg.ComponentLoadContext) -> Iterator[Path]:
    """Folders of other integrations of the code location that have this one's name."""
    own = context.component_path.file_path
    for declared in context.component_tree.find_root_decl().iterate_all_component_decls():
        folder = getattr(declared.loc, "file_path", own)
        if folder != own and folder.name == own.name and issubclass(declared.component_type, CrmIntegration):
            yield folder


def _templates(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """Every text that Dagster's template language would change. Other text is not rendered: it would make a number of "0123"."""
    if isinstance(value, dict | list):
        for key, below in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _templates(below, (*path, key))
    elif isinstance(value, str) and ("{{" in value or "{%" in value):
        yield path, value


def _rendered(text: str, context: dg.ComponentLoadContext) -> object | None:
    """What a template gives; None where it gives nothing or cannot be rendered."""
    try:
        return context.resolution_context.resolve_value(text, as_type=object)
    except ResolutionException:  # its text shows lines of the YAML
        return None


def _filled(value: Any, rendered: Mapping[KeyPath, object], path: KeyPath = ()) -> Any:
    if isinstance(value, dict):
        return {key: _filled(below, rendered, (*path, key)) for key, below in value.items()}
    if isinstance(value, list):
        return [_filled(below, rendered, (*path, position)) for position, below in enumerate(value)]
    return rendered.get(path, value)
