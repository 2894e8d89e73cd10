"""Settings: each is a variable and a flag; an invalid one is refused in one line."""

from __future__ import annotations

import re
import socket

import pytest

from svc.__main__ import build_parser
from svc.settings import FIELDS, FLAGS, SettingInvalid, Settings, env_name, flag_name, load_settings


def refusal(environ: dict[str, str], flags: dict[str, str | None] | None = None) -> str:
    with pytest.raises(SettingInvalid) as refused:
        load_settings(environ, flags or {})
    text = str(refused.value)
    assert "\n" not in text
    return text


def test_without_settings_the_defaults_hold() -> None:
    settings = load_settings({"PATH": "/bin", "KVX": "no setting", "kv_port": "1"}, {})

    assert settings == Settings()
    assert (settings.port, settings.admin_port) == (8080, 9102)
    assert settings.store_url == "embedded:"
    assert settings.default_ttl == 31_104_000
    assert settings.idempotency_ttl == 900
    assert settings.roles == {"kv", "counters"}
    assert settings.pod == socket.gethostname()
    assert not settings.injects_faults


SECRETS = {"store_password"}


def test_every_setting_but_a_secret_is_a_flag() -> None:
    # Every user of the machine can read a command line.
    assert set(FLAGS) == set(FIELDS) - SECRETS


def test_a_secret_is_a_variable_and_is_not_repeated() -> None:
    assert load_settings({"KV_STORE_PASSWORD": "x"}, {}) != Settings()
    assert "''" not in refusal({"KV_STORE_PASSWORD": ""})


def test_two_passwords_are_refused() -> None:
    said = refusal({"KV_STORE_PASSWORD": "hunter2", "KV_STORE_PASSWORD_FILE": "/secret"})

    assert said.startswith("KV_STORE_PASSWORD_FILE: ")
    assert "hunter2" not in said
    assert "/secret" not in said


@pytest.mark.parametrize("name", FLAGS)
def test_every_setting_is_a_variable_and_a_flag(name: str) -> None:
    default = getattr(Settings(), name)
    text = {int: "7", float: "2.5", str: "redis://x", frozenset: "counters"}.get(
        type(default), "/elsewhere"
    )
    text = "0.5" if name.endswith("_ratio") else text
    least = str(Settings().max_buffered_bytes // 2)
    chosen = {"log_format": "json", "access_log": "all", "max_buffered_bytes": least}
    chosen |= {"host": "127.0.0.2", "admin_host": "::1", "auth": "none"}
    chosen |= {"cors_origins": "https://app.example.com", "rate_limits": "read=1/s"}
    chosen |= {"rate_limit_failure": "closed", "trusted_proxies": "10.0.0.0/8"}
    text = chosen.get(name, text)
    text = "off" if default is True else text

    by_variable = load_settings({env_name(name): text}, {})
    arguments = build_parser().parse_args(["serve", f"{flag_name(name)}={text}"])
    by_flag = load_settings({}, vars(arguments))

    assert by_variable == by_flag
    assert by_variable != Settings()


def test_a_flag_overrides_its_variable() -> None:
    settings = load_settings({"KV_PORT": "1", "KV_TRACK": "blue"}, {"port": "2", "track": None})

    assert (settings.port, settings.track) == (2, "blue")


def test_a_flag_overrides_an_invalid_variable() -> None:
    assert load_settings({"KV_PORT": "x"}, {"port": "2"}).port == 2


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("KV_PROT", "KV_PORT"),
        ("KV_STORE", "KV_STORE_URL"),
        ("KV_DEFAULT_TTL_SECONDS", "KV_DEFAULT_TTL"),
        ("KV_ROLE", "KV_ROLES"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_one_that_was_meant(wrong: str, meant: str) -> None:
    text = refusal({wrong: "1"})

    assert text.startswith(f"{wrong}: ")
    assert f"did you mean {meant}?" in text


def test_an_unknown_variable_like_none_is_refused_with_where_to_look() -> None:
    text = refusal({"KV_XYZZY_PLUGH": "1"})

    assert text.startswith("KV_XYZZY_PLUGH: ")
    assert "--help" in text


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        *(("KV_PORT", text) for text in ("", "x", "-1", "65536", "80.5", " 80", "8_0")),
        *(("KV_DEFAULT_TTL", text) for text in ("0", "315360001", "none", "1e3")),
        *(("KV_IDEMPOTENCY_TTL", text) for text in ("0", "604801", "")),
        *(("KV_ROLES", text) for text in ("", "kv,admin", "kv;counters", "KV")),
        *(("KV_FAULT_ERROR_RATIO", text) for text in ("1.1", "-0.1", "nan", "inf", ".5", "50%")),
        *(("KV_DRAIN_SECONDS", text) for text in ("x", "-1", "3601", "1s", "")),
        *(("KV_TRACK", text) for text in ("", "two words", "a\nb", "é", "x" * 129)),
        *(("KV_POD", text) for text in ("", "a b", "\x00")),
        ("KV_STORE_URL", ""),
        ("KV_DATA_DIR", ""),
        ("KV_HOST", ""),
        ("KV_AUTH", "all"),
        *(("KV_HOSTS", text) for text in ("", "a:80", "http;a", "a/b", "*,a")),
        *(("KV_CORS_ORIGINS", text) for text in ("", "app.example.com", "a/b", "null")),
        ("KV_STORE_TIMEOUT_MS", "0"),
        ("KV_MAX_IN_FLIGHT", "0"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_its_variable(variable: str, text: str) -> None:
    said = refusal({variable: text})

    assert said.startswith(f"{variable}: ")
    assert repr(text) in said


def test_a_flag_that_cannot_be_used_is_refused_by_its_own_name() -> None:
    assert refusal({"KV_PORT": "80"}, {"port": "x"}).startswith("--port: 'x'")


def test_what_kubernetes_injects_is_explained() -> None:
    said = refusal({"KV_PORT": "tcp://10.0.0.1:8080"})

    assert said.startswith("KV_PORT: ")
    assert "enableServiceLinks: false" in said


def test_a_password_is_not_repeated() -> None:
    said = refusal({"KV_PORT": "redis://user:secret@host"})

    assert "secret" not in said


@pytest.mark.parametrize(
    ("text", "roles"),
    [
        ("kv", {"kv"}),
        ("counters", {"counters"}),
        ("kv,counters", {"kv", "counters"}),
        (" kv , counters ", {"kv", "counters"}),
    ],
)
def test_roles_are_a_choice(text: str, roles: set[str]) -> None:
    assert load_settings({"KV_ROLES": text}, {}).roles == roles


@pytest.mark.parametrize(
    ("environ", "faults"),
    [
        ({"KV_FAULT_ERROR_RATIO": "0.01"}, True),
        ({"KV_FAULT_LATENCY_MS": "5"}, True),
        ({"KV_FAULT_LATENCY_MS": "5", "KV_FAULT_LATENCY_RATIO": "0"}, False),
        ({"KV_FAULT_ERROR_RATIO": "0"}, False),
    ],
)
def test_faults_are_injected_only_on_request(environ: dict[str, str], faults: bool) -> None:
    assert load_settings(environ, {}).injects_faults is faults


def test_help_tells_every_setting_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args(["serve", "--help"])

    text = re.sub(r"\s+", " ", capsys.readouterr().out)
    for name in FLAGS:
        assert flag_name(name) in text
        assert f"{env_name(name)}=" in text.replace("_ ", "_").replace("- ", "-")
