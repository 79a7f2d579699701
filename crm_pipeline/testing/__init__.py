"""The conformance suite for CRMs, for whoever writes one; needs the extra ``testing``.

A CRM's author gives a bench (``testing.bench``) and takes the tests in (``testing.suite``); CONTRIBUTING.md shows how.
"""

import pytest

pytest.register_assert_rewrite(f"{__name__}.conformance", f"{__name__}.batches")
