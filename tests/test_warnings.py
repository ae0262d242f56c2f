"""A warning is an error where the code of this project gives rise to it, and a notice elsewhere."""

import warnings

import pytest

WARN = "import warnings\nwarnings.warn('old', DeprecationWarning, stacklevel=1)"
USE = "import warnings\ndef use(): warnings.warn('old', DeprecationWarning, stacklevel=2)"


@pytest.mark.parametrize(
    "module", ["llm_pv.models.endpoint", "tests.test_labels", "benchmarks.soak"]
)
def test_a_warning_of_our_own_is_an_error(module: str) -> None:
    with pytest.raises(DeprecationWarning, match="old"):
        exec(WARN, {"__name__": module})


def test_a_deprecated_use_of_ours_is_an_error_though_another_package_warns() -> None:
    package: dict[str, object] = {"__name__": "transformers.generation"}
    exec(USE, package)
    with pytest.raises(DeprecationWarning, match="old"):
        exec("use()", {"__name__": "llm_pv.models.hub", "use": package["use"]})


@pytest.mark.parametrize("module", ["transformers.generation", "pydantic_ai.models", "my_llm_pv"])
def test_a_warning_within_another_package_is_seen_and_no_error(module: str) -> None:
    with warnings.catch_warnings(record=True) as seen:
        exec(WARN, {"__name__": module})
    assert [str(warning.message) for warning in seen] == ["old"]
