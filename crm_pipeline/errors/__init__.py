"""Every error of the package.

CrmPipelineError                      anything of ours that stops something; its text holds ids and names, never values
├── ConfigurationError                the integration's YAML, settings or environment are wrong
│   ├── MissingCredentialError        an environment variable that should hold a credential has none
│   ├── MappingError                  a mapping can never work in this CRM; lists every such problem
│   ├── WrongOrgError                 the url or the credentials lead to another organization than the links'
│   └── SameRefusalError              a CRM refuses record after record for one cause that configuration alone can cure
├── TooManyChangesError               a run would change more records of QBench than it may
├── StoreError                        the state database cannot be used
│   └── StoreSetupError               it is not named, or is none that this version can use
├── LinkRefusedError                  a link cannot be made, moved or removed by hand
├── RestoreRefusedError               the value that lost a conflict cannot be put back
├── ServiceError                      a service outside (QBench or a CRM) could not do its part
│   ├── AuthenticationError           it refuses the credentials, or what they are allowed to do
│   ├── RequestRefusedError           it refuses this request as a whole; repeating it cannot help
│   ├── UnexpectedAnswerError         it answered something its contract does not know
│   ├── LimitReachedError             a daily or storage limit is used up; a later run continues
│   └── ServiceUnavailableError       it could not be reached or is busy; repeating may help
└── AlertNotSentError                 an alert reached not every channel; it is kept and sent again

RecordError                           what is wrong with one record: named in its outcome, never raised across a step
                                      (each says its outcome and what to do)
"""

from crm_pipeline.errors.eligibility import *  # noqa: F403 - named in one place
from crm_pipeline.errors.loading import *  # noqa: F403
from crm_pipeline.errors.record_error import *  # noqa: F403
from crm_pipeline.errors.returning import *  # noqa: F403
from crm_pipeline.errors.stopping import *  # noqa: F403
