"""Where Kinesis is, and what is said when it cannot be called.  Nothing here calls anybody."""

from __future__ import annotations

import pytest

from pipeline.errors import LogError
from pipeline.stream_logs.kinesis_client import connect, connect_to, endpoint_url, is_redirected
from pipeline.stream_logs.naming import check_name, open_log
from pipeline.system_clock import SystemClock

VARIABLES = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_KINESIS", "LOCALSTACK_HOST", "USE_SSL", "AWS_PROFILE")


@pytest.fixture(autouse=True)
def _an_environment_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({}, None),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "http://127.0.0.1:9"),
        ({"LOCALSTACK_HOST": "127.0.0.1:9"}, "http://127.0.0.1:9"),
        ({"LOCALSTACK_HOST": "stack"}, "http://stack:4566"),
        ({"LOCALSTACK_HOST": "stack", "USE_SSL": "1"}, "https://stack:4566"),
        ({"LOCALSTACK_HOST": "stack", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "http://127.0.0.1:9"),
    ],
)
def test_the_endpoint_is_named_as_for_localstack(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], url: str | None
) -> None:
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)

    assert endpoint_url() == url
    assert connect("eu-west-1").meta.endpoint_url == (url or "https://kinesis.eu-west-1.amazonaws.com")


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "LOCALSTACK_HOST"])
@pytest.mark.parametrize("service", ["kinesis", "dynamodb", "s3"])
def test_one_variable_redirects_everything_that_a_worker_under_kcl_calls(
    monkeypatch: pytest.MonkeyPatch, variable: str, service: str
) -> None:
    assert not is_redirected(service)

    monkeypatch.setenv(variable, "http://127.0.0.1:9" if variable == "AWS_ENDPOINT_URL" else "127.0.0.1:9")

    assert is_redirected(service)
    assert connect_to(service, "eu-west-1").meta.endpoint_url == "http://127.0.0.1:9"


def test_an_endpoint_of_kinesis_alone_is_boto3s_to_find(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_KINESIS", "http://127.0.0.1:2")

    assert connect("eu-west-1").meta.endpoint_url == "http://127.0.0.1:2"


def test_botocore_repeats_nothing() -> None:
    assert connect("eu-west-1").meta.config.retries["total_max_attempts"] == 1


def test_without_credentials_the_error_says_how_to_give_some(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(variable)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")

    with pytest.raises(LogError, match=r"kinesis:eu-west-1: no AWS credentials.*AWS_ACCESS_KEY_ID"):
        open_log("kinesis:eu-west-1", SystemClock())


def test_a_profile_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")

    with pytest.raises(LogError, match="nobody"):
        connect("eu-west-1")


def test_a_host_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALSTACK_HOST", "stack:door")

    with pytest.raises(LogError, match=r"LOCALSTACK_HOST.*stack:door"):
        connect("eu-west-1")


@pytest.mark.parametrize("name", ["local:x", "kinesis:eu-west-1", "kinesis:us-gov-east-1"])
def test_a_log_has_a_name(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["kinesis", "kinesis:", "kinesis:Frankfurt", "local:", "kafka:9092"])
def test_what_names_no_log_is_said(name: str) -> None:
    with pytest.raises(LogError, match="kinesis:"):
        check_name(name)
