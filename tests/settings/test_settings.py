"""Tests of the settings: one table, five places, and one clear line for each error."""

import dataclasses
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path

import pytest

from heliograph.domain.errors import CannotStart
from heliograph.settings import Settings, load_settings, setting_rows
from heliograph.settings.page import settings_help, settings_page

FIXED_NAMES = {
    "DATABASE_URL": "sqlite:///heliograph.db",
    "HOST": "127.0.0.1",
    "PORT": 8080,
    "ROLES": frozenset({"api", "sender", "webhooks"}),
    "API_KEY": None,
    "URL": None,
    "SIMULATOR_PHONE": "919876543210",
    "SIMULATOR_URL": None,
    "MAX_RETRIES": 3,
    "RETRY_BASE_SECONDS": 2.0,
    "WEBHOOK_ALLOW_PRIVATE": (),
    "RATE_LIMIT_PER_SECOND": 100,
    "ORG_MESSAGES_PER_SECOND": 0.0,
    "PACING": "auto",
    "LEASE_SECONDS": 10.0,
    "ACK_TIMEOUT_SECONDS": 20.0,
    "MAX_BODY_BYTES": 32 * 1024 * 1024,
    "RETENTION_DAYS": 30.0,
    "SIMULATOR_JOURNAL": None,
    "SECRET_KEY": None,
}


def load(folder: Path, environ: Mapping[str, str] | None = None, **flags: str) -> Settings:
    return load_settings(environ or {}, flags, folder=folder)


@pytest.mark.parametrize(("name", "default"), FIXED_NAMES.items())
def test_the_fixed_names_have_their_documented_defaults(name: str, default: object, tmp_path: Path) -> None:
    assert getattr(load(tmp_path), name.lower()) == default


def test_every_place_is_read_and_the_nearer_one_wins(tmp_path: Path) -> None:
    (tmp_path / "heliograph.toml").write_text(
        'HELIOGRAPH_PORT = 1001\nHELIOGRAPH_HOST = "toml"\nHELIOGRAPH_ROLES = ["api", "sender"]\n'
        "HELIOGRAPH_SIMULATOR_RECEIPTS = false\n"
    )
    (tmp_path / ".env").write_text(
        "# a comment\nexport HELIOGRAPH_PORT=1002\nHELIOGRAPH_PACING='none'\nHELIOGRAPH_MAX_RETRIES=5 # five\nOTHER=1\n"
    )
    from_files = load(tmp_path)
    assert (from_files.host, from_files.port, from_files.pacing, from_files.max_retries) == ("toml", 1002, "none", 5)
    assert from_files.roles == {"api", "sender"}
    assert from_files.simulator_receipts is False
    assert load(tmp_path, {"HELIOGRAPH_PORT": "1003"}).port == 1003
    assert load(tmp_path, {"HELIOGRAPH_PORT": "1003"}, port="1004").port == 1004


def test_a_toml_file_named_by_the_environment_is_read_and_must_be_there(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    with pytest.raises(CannotStart, match="which is not there"):
        load(tmp_path, {"HELIOGRAPH_CONFIG": str(own)})
    own.write_text("HELIOGRAPH_PORT = 1005")
    assert load(tmp_path, {"HELIOGRAPH_CONFIG": str(own)}).port == 1005


def test_an_unknown_name_is_refused_with_the_likely_one(tmp_path: Path) -> None:
    with pytest.raises(CannotStart) as refused:
        load(tmp_path, {"HELIOGRAPH_DATABSE_URL": "sqlite:///x.db"})
    assert "HELIOGRAPH_DATABSE_URL" in str(refused.value)
    assert "Did you mean HELIOGRAPH_DATABASE_URL?" in str(refused.value)
    (tmp_path / ".env").write_text("HELIOGRAPH_QQQ=1")
    with pytest.raises(CannotStart, match="HELIOGRAPH_QQQ is no setting"):
        load(tmp_path)


def test_names_for_tests_are_never_read_and_never_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("HELIOGRAPH_TEST_PORT=1\n")
    assert load(tmp_path, {"HELIOGRAPH_TEST_DATABASE_URL": "nonsense"}) == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://x"),
        ("DATABASE_URL", "sqlite:///"),
        ("WAKE_DATABASE_URL", "sqlite:///x.db"),
        ("PORT", "80800"),
        ("PORT", "eighty"),
        ("PORT", "٨٠"),
        ("ROLES", "api,boss"),
        ("ROLES", ","),
        ("API_KEY", "short"),
        ("API_KEY", "has spaces in it, which is bad"),
        ("URL", "localhost:8080"),
        ("SIMULATOR_PHONE", "0123"),
        ("SIMULATOR_URL", "ftp://x"),
        ("SIMULATOR_RECEIPTS", "maybe"),
        ("MAX_RETRIES", "-1"),
        ("RETRY_BASE_SECONDS", "nan"),
        ("WEBHOOK_ALLOW_PRIVATE", "127.0.0.1/8/9"),
        ("WEBHOOK_RETRY_SECONDS", "5,later"),
        ("RATE_LIMIT_PER_SECOND", "1e3"),
        ("LEASE_SECONDS", "0"),
        ("MAX_BODY_BYTES", "12"),
        ("MAX_BODY_BYTES", "5 parsecs"),
        ("RETENTION_DAYS", "0"),
        ("SECRET_KEY", "short"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
    ],
)
def test_a_bad_value_ends_in_one_line_that_names_it(name: str, value: str, tmp_path: Path) -> None:
    with pytest.raises(CannotStart) as refused:
        load(tmp_path, {f"HELIOGRAPH_{name}": value})
    line = str(refused.value)
    assert line.startswith(f"HELIOGRAPH_{name} must be ")
    assert line.endswith("(from the environment).")
    assert "\n" not in line


def test_a_refused_secret_is_not_shown_back(tmp_path: Path) -> None:
    with pytest.raises(CannotStart) as refused:
        load(tmp_path, {"HELIOGRAPH_SECRET_KEY": "hunter2"})
    assert "hunter2" not in str(refused.value)


def test_secrets_are_not_in_the_repr_nor_in_the_label(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        {
            "HELIOGRAPH_DATABASE_URL": "postgresql://ann:pa55word@db:5432/helio?sslmode=require",
            "HELIOGRAPH_API_KEY": "hg_live_0123456789",
            "HELIOGRAPH_SECRET_KEY": "a long enough secret",
        },
    )
    for hidden in ("pa55word", "hg_live_0123456789", "a long enough secret"):
        assert hidden not in repr(settings)
    assert settings.database_label == "postgresql://ann@db:5432/helio"
    assert Settings().database_label == "sqlite:///heliograph.db"


@pytest.mark.parametrize("broken", ["not toml", "[section]\nx=1", "port = 1", "HELIOGRAPH_PORT = { a = 1 }"])
def test_a_broken_toml_file_is_one_line(broken: str, tmp_path: Path) -> None:
    (tmp_path / "heliograph.toml").write_text(broken)
    with pytest.raises(CannotStart) as refused:
        load(tmp_path)
    assert "heliograph.toml" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_broken_env_line_is_named_with_its_number(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1\nnonsense\n")
    with pytest.raises(CannotStart, match="line 2"):
        load(tmp_path)


def test_an_empty_value_means_not_set_but_for_the_simulator_phone(tmp_path: Path) -> None:
    settings = load(tmp_path, {"HELIOGRAPH_PORT": "", "HELIOGRAPH_API_KEY": "", "HELIOGRAPH_SIMULATOR_PHONE": ""})
    assert (settings.port, settings.api_key, settings.simulator_phone) == (8080, None, "")


def test_values_are_parsed_into_what_rooms_use(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        {
            "HELIOGRAPH_WEBHOOK_ALLOW_PRIVATE": "127.0.0.0/8, ::1/128",
            "HELIOGRAPH_WEBHOOK_RETRY_SECONDS": "0.1,2",
            "HELIOGRAPH_MAX_BODY_BYTES": "2MiB",
            "HELIOGRAPH_ROLES": "sender",
        },
    )
    assert settings.webhook_allow_private == (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    assert settings.webhook_retry_seconds == (0.1, 2.0)
    assert settings.max_body_bytes == 2 * 1024 * 1024
    assert settings.roles == {"sender"}


def test_files_lie_beside_the_database_unless_told_otherwise(tmp_path: Path) -> None:
    settings = load(tmp_path, {"HELIOGRAPH_DATABASE_URL": "sqlite:////var/lib/helio/main.db"})
    assert settings.sqlite_path == Path("/var/lib/helio/main.db")
    assert settings.journal_path == Path("/var/lib/helio/main-simulator.db")
    assert settings.media_path == Path("/var/lib/helio/main-media")
    assert Settings(database_url="postgresql://h/d").sqlite_path is None
    assert Settings(media_dir=Path("/m")).media_path == Path("/m")


def test_commands_find_a_server_that_listens_everywhere_on_loopback() -> None:
    assert Settings(host="0.0.0.0", port=9000).server_url == "http://127.0.0.1:9000"
    assert Settings(host="::").server_url == "http://[::1]:8080"
    assert Settings(url="https://gateway.example").server_url == "https://gateway.example"


def test_the_reference_page_and_the_help_come_from_the_table() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"
    assert page.read_text() == settings_page(), "run: python -m heliograph.settings.page > docs/reference/settings.md"
    for row in setting_rows():
        assert row.name in settings_help()
    assert len(setting_rows()) == len(dataclasses.fields(Settings))


def test_files_lie_beside_the_database_that_a_link_leads_to(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "there" / "main.db")
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'link.db'}")
    assert settings.sqlite_path == tmp_path / "there" / "main.db"
    assert settings.journal_path == tmp_path / "there" / "main-simulator.db"
    assert settings.media_path == tmp_path / "there" / "main-media"
