"""The message about a mistake: file, line, and the word that was probably meant."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from config import loader
from config.definition import Definition
from config.loader import configuration_warnings, json_schemas, load_configuration
from config.mapping import Mapping, People
from config.yaml_document import parse
from config_files import LIFECYCLE, config_folder
from errors import ConfigError


def reported(path: Path) -> list[str]:
    """The lines of the error, without the folder."""
    with pytest.raises(ConfigError) as error:
        load_configuration(path)
    return str(error.value).replace(f"{path.as_posix()}/", "").splitlines()


def in_definition(text: str) -> list[str]:
    return [str(problem) for problem in parse(text, Definition, file="f.yaml")[1]]


def in_people(text: str) -> list[str]:
    return [str(problem) for problem in parse(text, People, file="f.yaml")[1]]


def in_mapping(text: str) -> list[str]:
    return [str(problem) for problem in parse(text, Mapping, file="f.yaml")[1]]


class TestShipped:
    def test_the_shipped_files_have_no_mistake(self) -> None:
        """A fresh checkout runs."""
        assert load_configuration().definition.stage_ids == (
            "suspect",
            "lead",
            "mql",
            "sql",
            "customer",
        )

    def test_the_shipped_files_have_no_warning(self) -> None:
        """`check` says nothing of them."""
        assert configuration_warnings(load_configuration()) == []

    @pytest.mark.parametrize("name", sorted(json_schemas()))
    def test_the_schemas_are_up_to_date(self, name: str) -> None:
        """`python -m config.loader` writes them."""
        assert (loader.CONFIG_FOLDER / name).read_text(encoding="utf-8") == json_schemas()[name]

    @pytest.mark.parametrize("name", sorted(json_schemas()))
    def test_every_word_has_a_description(self, name: str) -> None:
        """Editors show it while an admin types."""
        schema = json.loads(json_schemas()[name])
        sections = [schema, *schema["$defs"].values()]
        sections = [part for one in sections for part in one.get("anyOf", [one])]

        without = [
            word
            for section in sections
            for word, entry in section.get("properties", {}).items()
            if "description" not in entry
        ]

        assert without == []

    @pytest.mark.parametrize(
        ("file", "schema"),
        [
            ("lifecycle.yaml", "lifecycle.schema.json"),
            ("people.yaml", "people.schema.json"),
            ("hubspot.yaml", "mapping.schema.json"),
            ("salesforce.yaml", "mapping.schema.json"),
        ],
    )
    def test_an_editor_finds_nothing_wrong_with_the_shipped_files(
        self, file: str, schema: str
    ) -> None:
        """The schemas take the short forms as well."""
        typed = YAML(typ="safe", pure=True).load((loader.CONFIG_FOLDER / file).read_text("utf-8"))
        found = Draft202012Validator(json.loads(json_schemas()[schema])).iter_errors(typed)

        assert [error.message for error in found] == []


class TestLoad:
    def test_reads_what_fits_together(self, tmp_path: Path) -> None:
        """Both mappings, the definition and the people."""
        read = load_configuration(config_folder(tmp_path))

        assert sorted(read.mappings) == ["hubspot", "salesforce"]

    def test_mistakes_of_two_files_come_at_once(self, tmp_path: Path) -> None:
        """One run shows both."""
        wrong = config_folder(
            tmp_path,
            ("lifecycle", "within_hours", "whitin_hours"),
            ("people", "employees: integer", "employees: intger"),
            ("hubspot", "min_change: 5", "min_change: much"),
        )

        assert reported(wrong) == [
            "hubspot.yaml:22: `min_change` must be a number",
            "lifecycle.yaml:22: unknown word `whitin_hours`: did you mean `within_hours`?",
            "people.yaml:4: `type` cannot be `intger`: did you mean `integer`?",
        ]

    def test_what_takes_two_files_is_checked_beside_a_broken_third(self, tmp_path: Path) -> None:
        """One mistake does not hide another."""
        wrong = config_folder(
            tmp_path,
            ("lifecycle", "half_life_days: 30", "half_life_days: 0"),
            ("hubspot", "industry:  industry", "indutry:   industry"),
        )

        assert reported(wrong) == [
            "hubspot.yaml:7: people.yaml declares no field `indutry`: did you mean `industry`?",
            "lifecycle.yaml:9: `half_life_days` must be above 0",
        ]

    def test_a_misspelt_word_does_not_hide_what_comes_later(self, tmp_path: Path) -> None:
        """It is read as what was meant, and the checks go on."""
        wrong = config_folder(
            tmp_path,
            ("lifecycle", "half_life_days", "half_live_days"),
            ("lifecycle", "direction: outbound", "direction: outbund"),
            ("lifecycle", "- {event: demo}", "- {evnt: demo}"),
            ("lifecycle", "by: mail", "by: mial"),
            ("lifecycle", "field: bounced", "field: bonced"),
            ("hubspot", "backward: never", "backwards: nevr"),
            ("hubspot", "kind: visit", "kind: visti"),
        )

        assert reported(wrong) == [
            "hubspot.yaml:16: lifecycle.yaml has no kind `visti`: did you mean `visit`?",
            "hubspot.yaml:20: unknown word `backwards`: did you mean `backward`?",
            "lifecycle.yaml:6: `direction` cannot be `outbund`: did you mean `outbound`?",
            "lifecycle.yaml:9: unknown word `half_live_days`: did you mean `half_life_days`?",
            "lifecycle.yaml:22: unknown kind `mial`: it is not under events; did you mean `mail`?",
            "lifecycle.yaml:25: unknown condition `evnt`: did you mean `event`?",
            "lifecycle.yaml:30: people.yaml declares no field `bonced`: did you mean `bounced`?",
        ]

    def test_a_guess_that_does_not_fit_is_no_second_mistake(self, tmp_path: Path) -> None:
        """Nothing more is said of a line in which a word was guessed."""
        wrong = config_folder(tmp_path, ("people", "{type: boolean, ", "{typ: yes, "))

        assert reported(wrong) == ["people.yaml:5: unknown word `typ`: did you mean `type`?"]

    def test_a_word_that_is_there_already_is_not_meant_again(self, tmp_path: Path) -> None:
        """Two words would become one."""
        wrong = config_folder(
            tmp_path, ("people", "{type: boolean, ", "{type: boolean, typ: text, ")
        )

        assert reported(wrong) == ["people.yaml:5: unknown word `typ`: did you mean `type`?"]

    def test_without_any_mapping_it_says_which_files_to_write(self, tmp_path: Path) -> None:
        """A CRM is on where its mapping file exists, and at least one must be."""
        wrong = config_folder(tmp_path)
        (wrong / "hubspot.yaml").unlink()
        (wrong / "salesforce.yaml").unlink()

        assert any(
            "no CRM has a mapping here: write hubspot.yaml" in line for line in reported(wrong)
        )

    @pytest.mark.parametrize(("absent", "field"), [("hubspot", "bounced"), ("salesforce", None)])
    def test_one_crm_alone_is_enough(self, absent: str, field: str | None, tmp_path: Path) -> None:
        """People.yaml and links may name the other; rules that only it feeds are errors."""
        folder = config_folder(tmp_path)
        (folder / f"{absent}.yaml").unlink()

        lines = reported(folder)

        assert {line.partition(":")[0] for line in lines} == {"lifecycle.yaml"}
        missing = f"no mapping reads `{field}`: add it to the fields of a record"
        hint = f"(there is no mapping file for {absent})"
        assert any(f"{missing} {hint}" in line for line in lines) == (field is not None)

    @pytest.mark.parametrize("absent", ["hubspot", "salesforce"])
    def test_the_shipped_files_load_with_one_crm(self, absent: str, tmp_path: Path) -> None:
        """Only the rules that need the other CRM have to be changed."""
        for path in loader.CONFIG_FOLDER.glob("*.yaml"):
            if path.stem != absent:
                (tmp_path / path.name).write_bytes(path.read_bytes())

        assert absent not in load_configuration(tmp_path).mappings

    def test_a_mapping_without_connector_is_refused(self, tmp_path: Path) -> None:
        """It would be ignored silently."""
        (config_folder(tmp_path) / "pipedrive.yaml").write_text("columns: {}", encoding="utf-8")

        assert reported(tmp_path)[0].startswith(
            "pipedrive.yaml: there is no connector for it (no folder connectors/pipedrive)"
        )

    def test_a_file_with_the_other_ending_is_pointed_at(self, tmp_path: Path) -> None:
        """`.yml` is not read."""
        (config_folder(tmp_path) / "people.yaml").rename(tmp_path / "people.yml")

        assert reported(tmp_path)[1].startswith(
            "people.yml: this file is ignored: call it people.yaml"
        )

    def test_another_definition_can_be_tried(self, tmp_path: Path) -> None:
        """A backtest reads it in place of the folder's own."""
        other = tmp_path / "other.yaml"
        other.write_text(LIFECYCLE.replace('"1"', '"2"'), encoding="utf-8")

        assert (
            load_configuration(config_folder(tmp_path), definition_path=other).definition.version
            == "2"
        )

    def test_a_file_of_another_encoding_is_said_to_be_one(self, tmp_path: Path) -> None:
        """Spreadsheets like to save in their own."""
        (config_folder(tmp_path) / "people.yaml").write_bytes(
            "fields: {größe: text}".encode("latin-1")
        )

        assert reported(tmp_path) == [
            "people.yaml: this is not UTF-8: save the file in that encoding"
        ]

    def test_a_byte_order_mark_does_no_harm(self, tmp_path: Path) -> None:
        """Some editors on Windows begin a file with one."""
        path = config_folder(tmp_path) / "lifecycle.yaml"
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())

        assert load_configuration(tmp_path).definition.version == "1"

    def test_a_folder_in_place_of_a_file_cannot_be_read(self, tmp_path: Path) -> None:
        """No stack trace."""
        (config_folder(tmp_path) / "people.yaml").unlink()
        (tmp_path / "people.yaml").mkdir()

        assert reported(tmp_path) == ["people.yaml: this file cannot be read: Is a directory"]


class TestYaml:
    def test_no_is_text(self) -> None:
        """YAML 1.2: Norway is a country."""
        text = LIFECYCLE.replace("{field: bounced, is: true}", "{field: country, is: NO}")
        document, _ = parse(text, Definition, file="f.yaml")

        assert document is not None
        assert document.model.disqualified is not None
        assert document.model.disqualified.model_dump()["is_"] == "NO"

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            pytest.param("", "1: the file is empty", id="empty"),
            pytest.param("# nothing\n", "1: the file is empty", id="only a comment"),
            pytest.param("- a\n", "1: the file must be a section", id="a list"),
            pytest.param(
                "a: 1\nb:\n\tc: 1\n", "3: a tab is not allowed here: indent with spaces", id="tab"
            ),
            pytest.param("a: 1\na: 2\n", "2: this word occurs twice here", id="a word twice"),
            pytest.param(
                "a:\n  - b\n c: 1\n", "3: this line is not indented like", id="indented oddly"
            ),
            pytest.param("a: [1\nb: 2\n", "2: a `[` before this is not closed", id="open list"),
            pytest.param(
                "a: {b: 1\nc: 2\n", "2: a `{` before this is not closed", id="open section"
            ),
            pytest.param("a: b: c\n", "1: `:` is not allowed here", id="one colon too many"),
            pytest.param(
                "a: 1\nb\nc: 2\n", "3: a `:` is missing here or in the line above", id="colon"
            ),
            pytest.param('a: 1\nb: "x\n', "3: a quotation mark is not closed", id="open quote"),
            pytest.param("a: @x\n", "1: text that begins like this needs quotes", id="at sign"),
            pytest.param("a: *b\n", "1: no `&name` defines this `*name`", id="unknown alias"),
            pytest.param("a: 2026-13-45\n", "1: there is no such date", id="no such date"),
            pytest.param("a: !env B\n", "1: tags with `!` are not read", id="tag"),
            pytest.param(
                "a: 1\n---\nb: 1\n", "2: `---` begins a second document", id="two documents"
            ),
            pytest.param(
                "? {a: 1}\n: 1\n", "1: the word before a `:` must be text", id="section as key"
            ),
            pytest.param("a: 1\nb: \x07\n", "2: this is not YAML: special characters", id="bell"),
        ],
    )
    def test_broken_yaml_has_a_line(self, text: str, said: str) -> None:
        """Never a stack trace."""
        assert any(line.startswith(f"f.yaml:{said}") for line in in_people(text))

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            pytest.param("[" * 5000, "sections are nested too deep", id="too deep"),
        ],
    )
    def test_an_error_without_line_names_the_file(self, text: str, said: str) -> None:
        """Better than nothing."""
        assert in_people(text) == [f"f.yaml: {said}"]

    def test_a_mistake_under_an_alias_stands_where_it_was_typed(self) -> None:
        """Two record types can share a section: one correction is enough."""
        text = "fields:\n  email: &of\n    type: txt\n  phone: *of\n"

        assert {line.partition(" ")[0] for line in in_people(text)} == {"f.yaml:3:"}


def definition_with(before: str, after: str) -> str:
    assert LIFECYCLE.count(before) == 1
    return LIFECYCLE.replace(before, after)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        pytest.param(
            '"1"', "1", "1: `version` must be text: put `1` in quotes", id="number for text"
        ),
        pytest.param(
            "max_per_day: 3",
            "max_per_dya: 3",
            "3: unknown word `max_per_dya`: did you mean `max_per_day`?",
            id="typo in a word",
        ),
        pytest.param(
            "points: 40",
            "worth: 40",
            "4: unknown word `worth` "
            "(there is: points, channel, direction, max_per_day, activity, touch)",
            id="a word that is like none",
        ),
        pytest.param(
            "points: 40", "points: lots", "4: `points` must be a number", id="text for number"
        ),
        pytest.param(
            "points: 40", "max_per_day: 1.5", "4: `max_per_day` must be a whole number", id="1.5"
        ),
        pytest.param("points: 40", "activity: NO", "4: `activity` must be true or false", id="NO"),
        pytest.param(
            "two_way",
            "both_way",
            "5: `direction` cannot be `both_way`: did you mean `two_way`?",
            id="not one of the words",
        ),
        pytest.param(
            "outbound",
            "outbound, activity: true",
            "6: an outbound kind cannot be an activity: the company acts, not the person",
            id="ours cannot be their interest",
        ),
        pytest.param(
            "half_life_days: 30", "half_life_days: 0", "9: `half_life_days` must be above 0", id="0"
        ),
        pytest.param(
            "{field: employees, gte: 50}",
            "{stage: lead}",
            "11: a fit line takes field leaves only",
            id="stage in fit",
        ),
        pytest.param(
            "gte: 50}}", "gte: many}}", "11: `gte` must be a number or a date", id="text compared"
        ),
        pytest.param(
            "known: true",
            "is: [a, b]",
            "14: `is` takes one value (for several: `in`)",
            id="is with a list",
        ),
        pytest.param("known: true", "in: []", "14: `in` cannot be empty", id="in nothing"),
        pytest.param(
            ", known: true",
            "",
            "14: a field leaf needs a test: is, is_not, in, not_in, known, gt, ...",
            id="no test",
        ),
        pytest.param(
            "{field: industry, known: true}",
            "{event: demo}",
            "14: criterion budget takes field leaves only",
            id="event as criterion",
        ),
        pytest.param(
            "id: suspect, action: nurture",
            "id: suspect",
            "16: stage suspect needs an action",
            id="action",
        ),
        pytest.param(
            "id: suspect",
            "id: 1st",
            "16: `1st` is not an id: letters, digits and _",
            id="digit first",
        ),
        pytest.param(
            "id: suspect", "id: recycled", "16: a stage cannot be called recycled", id="reserved"
        ),
        pytest.param("id: sql", "id: Lead", "20: two stages are called Lead", id="same name"),
        pytest.param(
            "action: nurture}",
            "action: nurture, enter: {event: demo}}",
            "16: stage suspect is the first and cannot have a rule",
            id="rule of the first",
        ),
        pytest.param(
            "    enter: {event: [visit, demo]}\n",
            "",
            "17: stage lead needs a rule: enter",
            id="rule",
        ),
        pytest.param(
            "[visit, demo]",
            "[visit, dmo]",
            "19: unknown kind `dmo`: it is not under events; did you mean `demo`?",
            id="unknown kind",
        ),
        pytest.param(
            "by: mail",
            "by: mial",
            "22: unknown kind `mial`: it is not under events; did you mean `mail`?",
            id="unknown kind in follow_up",
        ),
        pytest.param(
            "- {event: demo}",
            "- {evnt: demo}",
            "25: unknown condition `evnt`: did you mean `event`?",
            id="unknown condition",
        ),
        pytest.param(
            "- {event: demo}", "- {}", "25: a condition starts with one of: any, all,", id="empty"
        ),
        pytest.param(
            "- {event: demo}", "- 5", "25: a condition starts with one of: any, all,", id="5"
        ),
        pytest.param(
            "- {event: demo}",
            "- [{event: demo}]",
            "25: `any` holds a list: put `any:` or `all:` before it",
            id="list without any",
        ),
        pytest.param(
            "- {event: demo}",
            "- {event: demo, whitin_days: 3}",
            "25: unknown word `whitin_days`: did you mean `within_days`?",
            id="typo in a leaf",
        ),
        pytest.param(
            "- {event: demo}",
            "- {event: [5]}",
            "25: `event` must be text: put `5` in quotes",
            id="[5]",
        ),
        pytest.param(
            "score: total",
            "score: totl",
            "26: `score` cannot be `totl`: did you mean `total`?",
            id="totl",
        ),
        pytest.param(
            "{stage: lead}, ",
            "{stage: customer}, ",
            "27: the rule of stage sql names `customer`, which is not lower "
            "(lower are: suspect, lead)",
            id="a higher stage",
        ),
        pytest.param(
            "{stage: lead}, ",
            "{stage: sql}, ",
            "27: the rule of stage sql names `sql`, which is not lower",
            id="itself",
        ),
        pytest.param(
            "{stage: lead}, ",
            "{stage: leed}, ",
            "27: the rule of stage sql names an unknown stage `leed`: did you mean `lead`?",
            id="unknown stage",
        ),
        pytest.param(
            "enter: {event: won}",
            "enter: {score: total, gte: 1}",
            "28: the final stage customer takes event and field leaves only",
            id="score ends the journey",
        ),
        pytest.param(
            "id: sql",
            "id: sql\n    final: true",
            "21: stage sql: only the last stage can be final",
            id="final",
        ),
        pytest.param(
            "to: lead",
            "to: led",
            "29: recycled.to `led` is not a stage: did you mean `lead`?",
            id="to",
        ),
        pytest.param(
            "after_inactive_days: 120",
            "after_inactive_days: 120, by: [demmo]",
            "29: unknown kind `demmo`: it is not under events; did you mean `demo`?",
            id="unknown kind in recycled",
        ),
        pytest.param(
            "points: 40",
            "touch: 0.5",
            "4: only an outbound kind is a touch: remove it, or set direction to outbound",
            id="interest is no touch",
        ),
        pytest.param(
            "direction: outbound",
            "direction: outbound, touch: 0.125",
            "6: `touch` must be from 0.01 to 1, with two decimals at most",
            id="touch of thousandths",
        ),
        pytest.param(
            "direction: outbound",
            "direction: outbound, touch: 2",
            "6: `touch` must be from 0.01 to 1, with two decimals at most",
            id="touch of 2",
        ),
        pytest.param(
            "id: lead",
            "id: lead\n    expires_days: 90",
            "18: expires_days of lead has no effect: it is not above `lead`",
            id="expires where people go back to",
        ),
        pytest.param(
            "enter: {event: won}",
            "enter: {event: won}, expires_days: 90",
            "28: stage customer is final: no person leaves it, so remove expires_days",
            id="the final stage expires",
        ),
        pytest.param(
            "{field: bounced, is: true}",
            "{stage: lead}",
            "30: disqualified takes event and field leaves only",
            id="stage disqualifies",
        ),
    ],
)
def test_a_mistake_in_the_definition_is_reported_with_its_line(
    before: str, after: str, said: str
) -> None:
    """In plain words, with the right word where it can be guessed."""
    assert in_definition(definition_with(before, after))[0].startswith(f"f.yaml:{said}")


@pytest.mark.parametrize(
    ("added", "said"),
    [
        pytest.param(
            "contact: {contactable: {event: demo}}",
            "contactable takes field leaves only",
            id="event",
        ),
        pytest.param(
            "contact: {pressure: {within_days: 1, high: 5, stop: 5}}",
            "high must be below stop",
            id="high is stop",
        ),
    ],
)
def test_a_mistake_under_contact_is_reported(added: str, said: str) -> None:
    """It is in the last line."""
    assert in_definition(LIFECYCLE + added) == [f"f.yaml:31: {said}"]


@pytest.mark.parametrize(
    ("grades", "said"),
    [
        pytest.param(
            "{AA: 3}", "`AA` is not a grade: a grade is one capital letter", id="two letters"
        ),
        pytest.param("{A: 3, B: 3}", "the floors of the grades must fall from A on", id="equal"),
    ],
)
def test_a_mistake_in_the_grades_is_reported(grades: str, said: str) -> None:
    """Grades are letters, and fall."""
    text = definition_with("half_life_days: 30", f"half_life_days: 30\n  grades: {grades}")

    assert in_definition(text)[0].endswith(f": {said}")


@pytest.mark.parametrize(
    ("leaf", "said"),
    [
        pytest.param("{field: [x], known: true}", "`field` must be text", id="in a leaf"),
        pytest.param("{zzz: 1}", "a condition starts with one of: any, all", id="the leaf itself"),
    ],
)
def test_a_list_of_which_nothing_is_right_is_not_empty_as_well(leaf: str, said: str) -> None:
    """One mistake, one line."""
    found = in_definition(LIFECYCLE.replace("{field: bounced, is: true}", f"{{any: [{leaf}]}}"))

    assert [line.startswith(f"f.yaml:30: {said}") for line in found] == [True]


def test_guessing_ends() -> None:
    """Words within words within words: equal messages of one line are one message."""
    deep = "{al: [" * 9 + "{event: won}" + "]}" * 9
    text = definition_with("{field: bounced, is: true}", deep)

    assert in_definition(text) == ["f.yaml:30: unknown condition `al`: did you mean `all`?"]


def test_the_shortest_definition_has_kinds_and_one_stage() -> None:
    """All else may be absent."""
    text = 'version: "1"\nevents: {visit: {}}\nstages: [{id: known, action: wait}]\n'

    assert in_definition(text) == []


def test_a_misspelt_word_is_not_missing_as_well() -> None:
    """One mistake, one line."""
    text = """\
system_fields: {idd: id, created_at: c, updated_at: u, deleted: d}
records: {a: {fields: {}}}
"""

    assert in_mapping(text) == ["f.yaml:1: unknown word `idd`: did you mean `id`?"]


def test_all_mistakes_of_a_file_come_at_once() -> None:
    """Each with its own line."""
    text = """\
fields:
  a: txt
  b: {survivorship: newest}
  c: {survivorship: most_restrictive}
  d: 5
"""

    assert in_people(text) == [
        "f.yaml:2: `type` cannot be `txt`: did you mean `text`?",
        "f.yaml:3: `survivorship` cannot be `newest` "
        "(there is: most_recent, oldest, most_restrictive)",
        "f.yaml:4: survivorship most_restrictive needs type boolean",
        "f.yaml:5: `d` must be a section: lines of `word: value`",
    ]


def test_mistakes_of_a_rule_are_reported() -> None:
    """The words of `where`, and the instant."""
    text = """\
system_fields: {id: i, created_at: c, updated_at: u, deleted: d}
records: {a: {fields: {}}}
events:
  - {object: a, where: {x: {contans: b}}, kind: k, at: t}
  - {object: a, where: {x: {}}, kind: k, at: t}
  - {object: a, where: {x: }, kind: k, at: t}
  - {object: a, kind: k}
"""

    assert in_mapping(text) == [
        "f.yaml:4: unknown word `contans`: did you mean `contains`?",
        "f.yaml:5: write a value, a list of values, or one of words, contains, known, gte, lt, not",
        "f.yaml:6: `x` must be a section: lines of `word: value`",
        "f.yaml:7: `at` is missing: the column with the instant of the event",
    ]


def test_lists_of_words_are_checked() -> None:
    """A list that is not written, a word without a letter, a list outside of event rules."""
    text = """\
system_fields: {id: i, created_at: c, updated_at: u, deleted: d}
records: {a: {fields: {}, read_only: {x: {words: $demo}}}}
words: {demo: [trial]}
events:
  - {object: a, where: {x: {words: $demo, not: {words: [$dmo]}}}, kind: k, at: t}
  - {object: a, where: {x: {words: ["*"]}}, kind: k, at: t}
"""

    assert in_mapping(text) == [
        "f.yaml:2: a list of words can be named in event rules only: write the words",
        "f.yaml:5: `words` has no list `dmo`",
        "f.yaml:6: a word needs a letter or a digit",
    ]


def test_an_instant_with_a_zone_is_compared_in_utc() -> None:
    """Ten o'clock in Berlin is nine in London."""
    text = definition_with("gte: 50}}", "gte: 2026-01-01T10:00:00+01:00}}")
    document, _ = parse(text, Definition, file="f.yaml")

    assert document is not None
    assert "2026-01-01T09:00:00" in document.model.model_dump_json()
