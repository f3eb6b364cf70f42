"""Read settings by dlt's own configuration: the environment first, then the files in `.dlt/`.

The files are `.dlt/secrets.toml` and `.dlt/config.toml`. To report the mistakes of several groups
of settings at once, give each call the same list and raise at the end:

    problems: list[str] = []
    limits = read_settings(Limits(), "guard", rules=LIMIT_RULES, problems=problems)
    lock = read_settings(LockSettings(), "lock", rules=LOCK_RULES, problems=problems)
    raise_problems(problems)
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import dlt
from dlt.common.configuration import resolve_configuration
from dlt.common.configuration.exceptions import (
    ConfigurationException,
    ConfigValueCannotBeCoercedException,
)
from dlt.common.configuration.providers.provider import EXPLICIT_VALUES_PROVIDER_NAME
from dlt.common.configuration.providers.toml import TomlProviderReadException
from dlt.common.configuration.specs import BaseConfiguration
from dlt.common.configuration.specs.base_configuration import is_secret_hint
from dlt.common.configuration.utils import ResolvedValueTrace, get_resolved_traces

from errors import ConfigError

S = TypeVar("S", bound=BaseConfiguration)


class Rule(NamedTuple):
    """What a setting must be: in words with an example, and as a test of the value that was read.

    `expected` completes "NAME must be ...": `a number from 0 to 1, such as 0.5`.
    """

    expected: str
    accepts: Callable[[Any], bool] = lambda _: True


def is_one_line(text: Any) -> bool:
    """Say whether a text has neither blanks nor line breaks; an empty text is not set."""
    return all(character.isprintable() and not character.isspace() for character in str(text))


class SettingOrigin(NamedTuple):
    """Where a setting comes from: environment, a file in .dlt/, or its default.

    `value` is empty where nothing is set, and *** for a secret.
    """

    name: str
    origin: str
    value: str


def read_settings(
    empty: S,
    *sections: str,
    rules: Mapping[str, Rule] | None = None,
    problems: list[str] | None = None,
) -> S:
    """Fill an empty settings object from its section, such as `sources`, `hubspot`.

    Every field of a settings class has a default; an empty text means "not set".

    rules:    field -> what it must be.
    problems: collects one line per bad or missing setting; the result then holds the default in
              its place, so that the caller can go on and report the rest.
    Raises:   ConfigError naming every bad or missing setting, where no list collects them. The
              text never holds a value.
    """
    rules = rules or {}
    lines: list[str] = []
    filled, bad_fields = _resolve(empty, sections, lines)
    for field in empty.get_resolvable_fields():
        rule = rules.get(field)
        if field in bad_fields or (rule is not None and not _accepts(rule, filled[field])):
            lines.append(_problem(filled, sections, field, rule))
            setattr(filled, field, _default(filled, field))
    if problems is None:
        raise_problems(lines)
    else:
        # two sections can fail for one reason: a TOML file that cannot be read
        problems += [line for line in lines if line not in problems]
    return filled


def rule_problems(
    settings: BaseConfiguration, *sections: str, rules: Mapping[str, Rule]
) -> list[str]:
    """Return one line for each field that does not fit its rule; for settings already read."""
    return [
        _problem(settings, sections, field, rule)
        for field, rule in rules.items()
        if not _accepts(rule, settings[field])
    ]


def setting_origins(empty: BaseConfiguration, *sections: str) -> list[SettingOrigin]:
    """Say where each setting of a section comes from; the value of a secret is not returned.

    A value that cannot be read counts as the default: `read_settings` reports it.
    """
    hints = empty.get_resolvable_fields()
    traces = get_resolved_traces().resolved_traces
    start = len(traces)
    filled = read_settings(empty, *sections, problems=[])
    # dlt stops at the first place that has a value
    found = {trace.key: trace for trace in reversed(traces[start:])}
    return [
        SettingOrigin(
            "__".join((*sections, field)).upper(),
            _origin(found.get(field), sections),
            _shown(filled[field], is_secret=bool(is_secret_hint(hint))),
        )
        for field, hint in hints.items()
    ]


def value_origin(path: str, *, is_secret: bool = False) -> SettingOrigin:
    """Say where a setting comes from that belongs to dlt, such as `destination.name`."""
    traces = get_resolved_traces().resolved_traces
    start = len(traces)
    value: Any = (dlt.secrets if is_secret else dlt.config).get(path)
    *sections, field = path.split(".")
    found = next((trace for trace in traces[start:] if trace.key == field), None)
    name = path.replace(".", "__").upper()
    return SettingOrigin(name, _origin(found, sections), _shown(value, is_secret=is_secret))


_ENVIRONMENT = "Environment Variables"


def _origin(trace: ResolvedValueTrace | None, sections: Sequence[str]) -> str:
    if trace is None or trace.provider_name == EXPLICIT_VALUES_PROVIDER_NAME:
        return "default"
    if trace.provider_name != _ENVIRONMENT:
        is_file = trace.provider_name.endswith(".toml")
        return f".dlt/{trace.provider_name}" if is_file else trace.provider_name
    # dlt also accepts names with fewer sections, such as ACCESS_TOKEN
    is_short = list(trace.sections) != list(sections)
    short_name = "__".join((*trace.sections, trace.key)).upper()
    return f"environment ({short_name})" if is_short else "environment"


def _shown(value: Any, *, is_secret: bool) -> str:
    if value in ("", None):
        return ""
    text = str(value)
    # an address may hold a password before the @
    return "***" if is_secret or "@" in text.partition("://")[2] else text


def raise_problems(problems: list[str]) -> None:
    """Raise all problems as one error, one a line.

    Raises: ConfigError where there is any.
    """
    if problems:
        raise ConfigError("\n".join(problems))


def setting(crm: str, name: str) -> str:
    """Name a setting of a CRM as admins write it, for error texts."""
    return setting_name(("sources", crm), name)


def setting_name(sections: tuple[str, ...], field: str, *, file: str = "secrets.toml") -> str:
    """Name a setting as environment variable and as entry of a file, for error texts."""
    path = (*sections, field)
    return f"{'__'.join(path).upper()} (in .dlt/{file}: {'.'.join(path)})"


def _resolve(empty: S, sections: tuple[str, ...], problems: list[str]) -> tuple[S, set[str]]:
    """Read what can be read, and name the fields whose value has the wrong type."""
    defaults: dict[str, Any] = {}
    while True:
        try:
            filled = resolve_configuration(
                empty, sections=sections, explicit_value=dict(defaults) or None
            )
            return filled, set(defaults)
        except ConfigValueCannotBeCoercedException as error:
            field = error.field_name
        except TomlProviderReadException as error:
            problems.append(_toml_problem(error))
            return type(empty)(), set()
        except ConfigurationException:
            field = ""
        if not hasattr(empty, field) or field in defaults:
            # the text of dlt is not repeated: it may quote what was read
            problems.append(
                f"the settings of {sections[-1]} cannot be read: check the environment variables"
                f" {'__'.join(sections).upper()}__... and section {'.'.join(sections)} of"
                " .dlt/secrets.toml and .dlt/config.toml"
            )
            return type(empty)(), set()
        # dlt stops at the first bad value: read again with the default in its place
        defaults[field] = _default(empty, field)


def _default(settings: BaseConfiguration, field: str) -> Any:
    return getattr(type(settings)(), field)


def _accepts(rule: Rule, value: Any) -> bool:
    try:
        return rule.accepts(value)
    except (TypeError, ValueError, ArithmeticError):
        return False


_TYPES: Mapping[Any, str] = {float: "a number", int: "a whole number", bool: "true or false"}


def _problem(
    settings: BaseConfiguration, sections: tuple[str, ...], field: str, rule: Rule | None
) -> str:
    hint = settings.get_resolvable_fields()[field]
    file = "secrets.toml" if is_secret_hint(hint) else "config.toml"
    expected = f"{_TYPES.get(hint, 'text')}, such as {_default(settings, field)}"
    must_be = f"must be {rule.expected if rule else expected}"
    if settings[field] in ("", None):
        must_be = f"is missing: it {must_be}"
    return f"{setting_name(sections, field, file=file)} {must_be}"


def _toml_problem(error: TomlProviderReadException) -> str:
    # only the line number is taken over: the text may quote the line, and the line a secret
    line = re.search(r"at line (\d+)", str(error))
    where = f"{error.file_name}:{line[1]}" if line else error.file_name
    return f".dlt/{where}: the settings cannot be read: this is not TOML. Correct this line"
