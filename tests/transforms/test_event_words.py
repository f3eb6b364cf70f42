"""What the shipped mappings make of the words of real accounts, in seven languages."""

from datetime import datetime

import ibis
import pyarrow as pa
import pytest

from config.loader import load_configuration
from config.mapping import Mapping, Where
from tests.engines import ENGINES, EVERY_ENGINE, load_rows
from transforms.events import catch_all_names, raw_events
from transforms.staging.fields import matches
from transforms.staging.words import fold, folded

FORMS = {
    "newsletter_signup": """Newsletter; Newsletter signup; Subscribe to our blog; Inscription à la
        newsletter; Abonnement à la lettre d'information; Infolettre; Newsletter-Anmeldung;
        Newsletter abonnieren; Suscripción al boletín; Suscríbete; Iscrizione alla newsletter;
        Iscriviti; Nieuwsbrief; Aanmelden voor de nieuwsbrief; Assine nossa newsletter;
        Boletim informativo""",
    "demo_request": """Demo request; Request a demo; Book a demo; Get a product demonstration;
        Demande de démonstration; DEMANDE DE DEMONSTRATION; Demander une démo; Réserver une démo;
        Demo anfordern; Produktdemo buchen; Vorführung vereinbaren; Solicitar una demostración;
        Solicitar demo; Richiedi una demo; Richiesta dimostrazione; Demo aanvragen;
        Solicitar demonstração; Agendar demonstração""",
    "quote_request": """Quote request; Get a quote; Contact sales; Talk to sales; Request pricing;
        Request a proposal; Demander un devis; Demande de devis; Obtenir un devis gratuit;
        Demande de tarifs; Contacter le service commercial; Angebot anfordern; Angebotsanfrage;
        Preisanfrage; Kostenvoranschlag; Solicitar presupuesto; Pedir presupuesto;
        Solicitar cotización; Contactar con ventas; Richiedi un preventivo; Richiesta preventivo;
        Offerte aanvragen; Prijsopgave; Solicitar orçamento; Pedir cotação""",
    "meeting_booked": """Book a meeting; Schedule a meeting; Prendre rendez-vous;
        Réserver un rendez-vous; Termin vereinbaren; Termin buchen; Reservar una reunión;
        Concertar una cita; Prenota un appuntamento; Afspraak maken; Agendar reunião""",
    "white_paper": """White paper; Whitepaper download; Ebook: ten ideas; E-book; Buyer guide:
        pricing; Buyer's guide; Livre blanc; Télécharger le livre blanc; Guide d'achat;
        Leitfaden herunterladen; Ratgeber; Libro blanco; Descargar guía; Libro bianco; Scarica la
        guida; Gids downloaden; Baixar e-book; Guia do comprador""",
    "webinar_registered": """Webinar registration; Event registration; Inscription au webinaire;
        Webinar-Anmeldung; Anmeldung zum Webinar; Seminario web; Iscrizione webinar; Aanmelden voor
        het webinar; Inscrição no webinar""",
    "account_created": """Create an account; Sign up; Free trial; Start your trial; Essai gratuit;
        Créer un compte; Kostenlos testen; Konto erstellen; Testversion; Prueba gratuita;
        Crear cuenta; Prova gratuita; Crea un account; Gratis proberen; Account aanmaken;
        Teste grátis; Teste gratuito; Criar conta""",
    "detailed_form": """Assessment; Your project; Consultation request; Détaillez votre projet;
        Projektanfrage; Describa su proyecto; Descrivi il tuo progetto; Descreva o seu projeto""",
    "form_submitted": """Democracy survey; Account deletion request; Event feedback survey; Customer
        support: project issue; Contact us; Formulaire de contact; Kontaktformular; Contacto;
        Contatti; Enquête de satisfaction; Demande de support; Umfrage zum Webinar; Encuesta
        de satisfacción; Supportanfrage; Suppression de compte; Konto löschen; Contactformulier;
        Pesquisa de satisfação; Job application; Candidature""",
    "": """Unsubscribe; Manage subscription preferences; Se désabonner; Désinscription newsletter;
        Newsletter abbestellen; Abmeldung vom Newsletter; Darse de baja del boletín; Cancelar
        suscripción; Annulla iscrizione; Disiscrizione; Uitschrijven nieuwsbrief; Cancelar
        inscrição; Gérer mes préférences; Email preferences""",
}
CALLS = {
    "call_connected": """Connected; Connected - not interested; Answered; Reached; Had a
        conversation; Joint; Eu au téléphone; Erreicht; Gespräch geführt; Contactado; Contattato;
        Gesproken; Bereikt; Atendida""",
    "call_attempted": """Not connected; Disconnected number; Unanswered; Could not be reached; No
        answer; Didn't answer; Left voicemail; Busy; Wrong number; Non joint; Pas joint;
        Injoignable; Pas de réponse; Nicht erreicht; Keine Antwort; No contactado; Sin respuesta;
        Non contattato; Nessuna risposta; Niet bereikt; Geen gehoor; Não atendida; Sem resposta;
        Never reached; Unable to reach; Call not answered; Not answered""",
}
STATUSES = {
    "webinar_attended": """Attended; Attended live; Participé; Présent; Teilgenommen; Asistió;
        Ha partecipato; Deelgenomen; Participou""",
    "webinar_registered": """Not attended; Did not attend; Registered; Didn't attend; No show;
        N'a pas participé; Nicht teilgenommen; No asistió; Non ha partecipato; Niet deelgenomen;
        Não participou; Registered - absent; Inscrit; Angemeldet""",
}
AUTOMATIC = """Automatic reply: your offer; Out of office: Anna; Auto-reply; AutoReply: hello;
    Réponse automatique : votre offre; Absence du bureau; Automatische Antwort: Angebot;
    Abwesenheitsnotiz; Respuesta automática: oferta; Fuera de la oficina; Risposta automatica: ciao;
    Fuori ufficio; Automatisch antwoord: offerte; Afwezig: Jan; Resposta automática: proposta;
    Fora do escritório; Undeliverable: your offer; Delivery Status Notification (Failure)"""
PERSONAL = """Re: your offer; RE: Automatic irrigation; Question; Re: absence of a price;
    AW: Angebot; TR: devis; Rif: preventivo; Re: office furniture"""


def listed(names: str) -> list[str]:
    """The names of a text, separated by semicolons."""
    return [" ".join(name.split()) for name in names.split(";")]


def cases() -> list[tuple[str, str, dict[str, object], str]]:
    """CRM, object, columns, and the event; no event: nothing on purpose."""
    rows: list[tuple[str, str, dict[str, object], str]] = []
    for kind, names in FORMS.items():
        rows += [("hubspot", "form_submissions", {"formName": n}, kind) for n in listed(names)]
    call = {"TaskSubtype": "Call", "CallType": "Outbound", "Status": "Completed"}
    for kind, names in CALLS.items():
        rows += [("salesforce", "Task", call | {"CallDisposition": n}, kind) for n in listed(names)]
    member = {"HasResponded": True, "Campaign.Type": "Webinar"}
    for kind, names in STATUSES.items():
        rows += [
            ("salesforce", "CampaignMember", member | {"Status": n}, kind) for n in listed(names)
        ]
    for kind, names in (("", AUTOMATIC), ("email_reply", PERSONAL)):
        for name in listed(names):
            mail = {"hs_email_direction": "INCOMING_EMAIL", "hs_email_subject": name}
            rows.append(("hubspot", "emails", mail, kind))
            rows.append(("salesforce", "EmailMessage", {"Incoming": True, "Subject": name}, kind))
    change = {"type": "STATUSCHANGE"}
    inbound = {"hs_call_direction": "INBOUND"}
    mail = {"hs_email_direction": "INCOMING_EMAIL"}
    robot = '{"from":{},"Auto-Submitted":"auto-replied"}'
    human = '{"from":{},"Auto-Submitted":"no"}'
    return [
        *rows,
        # HubSpot's own: the meeting that it books is a row of `meetings`, and would count twice
        ("hubspot", "form_submissions", {"formName": "Meetings link"}, "form_submitted"),
        ("hubspot", "email_events", change | {"portalSubscriptionStatus": "SUBSCRIBED"}, ""),
        (
            "hubspot",
            "email_events",
            change | {"portalSubscriptionStatus": "UNSUBSCRIBED"},
            "unsubscribed",
        ),
        ("hubspot", "email_events", change, "unsubscribed"),
        ("hubspot", "calls", inbound | {"hs_call_status": "COMPLETED"}, "call_inbound"),
        ("hubspot", "calls", inbound, "call_inbound"),
        ("hubspot", "calls", inbound | {"hs_call_status": "NO_ANSWER"}, ""),
        ("hubspot", "calls", inbound | {"hs_call_status": "MISSED"}, ""),
        ("hubspot", "emails", mail | {"hs_email_headers": robot}, ""),
        ("hubspot", "emails", mail | {"hs_email_headers": human}, "email_reply"),
        ("salesforce", "Task", call | {"CallType": "Inbound"}, "call_inbound"),
        (
            "salesforce",
            "Task",
            call | {"CallType": "Inbound", "CallDisposition": "Missed call"},
            "",
        ),
        ("salesforce", "Event", {"WhoId": "1", "IsChild": True}, ""),
        ("salesforce", "Event", {"WhoId": "1", "IsChild": False}, "meeting_held"),
        ("salesforce", "Event", {"IsChild": False}, ""),
        ("salesforce", "Event", {"Outcome__c": "Held"}, "meeting_held"),
    ]


NOW = datetime(2026, 5, 4)
TIMES = {
    "submittedAt",
    "created",
    "hs_timestamp",
    "CompletedDateTime",
    "StartDateTime",
    "MessageDate",
    "CreatedDate",
}


def landed(crm: str, mapping: Mapping) -> dict[str, ibis.expr.types.Table]:
    """One row per case, with every column that the mapping reads."""
    tables = {}
    for object in {one for of, one, _, _ in CASES if of == crm}:
        rows = [(i, row) for i, (of, one, row, _) in enumerate(CASES) if (of, one) == (crm, object)]
        fields = mapping.field_selection()[object]
        parents = mapping.parents_of(object)
        columns: dict[str, list[object]] = {mapping.system_fields.id: [str(i) for i, _ in rows]}
        for name in fields:
            columns[name] = [NOW if name in TIMES else row.get(name) for _, row in rows]
        for name, parent in parents.items():
            columns[f"{name}Id"] = [str(i) for i, _ in rows]
            above: dict[str, list[object]] = {mapping.system_fields.id: [str(i) for i, _ in rows]}
            for field in mapping.field_selection()[parent]:
                above[field] = [row.get(f"{name}.{field}") for _, row in rows]
            tables.setdefault(parent, above)
        # an object of the cases that is a parent as well keeps its own rows
        tables[object] = columns
    texts = {"FirstOpenedDate": pa.timestamp("us"), "ActivityDate": pa.timestamp("us")}
    return {
        name: ibis.memtable(
            pa.table(
                {
                    column: pa.array(values, texts.get(column, pa.string()))
                    if all(value is None for value in values)
                    else pa.array(values)
                    for column, values in columns.items()
                }
            )
        )
        for name, columns in tables.items()
    }


CASES = cases()


def test_words_of_real_accounts() -> None:
    """Every row through the shipped rules in one step: the event that a salesperson would name."""
    every = load_configuration().mappings
    mappings = {
        crm: mapping.model_copy(
            update={
                "events": tuple(
                    rule
                    for rule in mapping.events
                    if (crm, rule.object) in {(of, object) for of, object, _, _ in CASES}
                )
            }
        )
        for crm, mapping in every.items()
    }
    tables = {crm: landed(crm, mapping) for crm, mapping in mappings.items()}
    found = raw_events(mappings, tables).select("source_id", "kind").distinct()
    with ENGINES["duckdb"]() as engine:
        kinds = {
            row["source_id"]: row["kind"] or "no rule"
            for row in engine.to_pyarrow(found).to_pylist()
        }
    wrong = [
        f"{object} {row}: {kinds.get(str(i), '')!r}, not {kind!r}"
        for i, (_, object, row, kind) in enumerate(CASES)
        if kinds.get(str(i), "") != kind
    ]
    assert not wrong, "\n".join(wrong)
    assert len(CASES) > 150


def test_names_that_no_list_knows_are_counted() -> None:
    """Forms and call results that only the last rule took; none that a word decided."""
    mappings = load_configuration().mappings
    hubspot = mappings["hubspot"]
    forms = tuple(rule for rule in hubspot.events if rule.object == "form_submissions")
    hubspot = hubspot.model_copy(update={"events": forms})
    rows = {"formName": ["Kontakt", "Kontakt", "Demo", "Survey", None]}
    counted = catch_all_names(
        {"hubspot": hubspot}, {"hubspot": {"form_submissions": ibis.memtable(pa.table(rows))}}
    )
    assert counted is not None
    with ENGINES["duckdb"]() as engine:
        assert engine.to_pyarrow(counted).to_pylist() == [
            {
                "name": "Kontakt",
                "rows": 2,
                "crm": "hubspot",
                "source_object": "form_submissions",
                "field": "formName",
                "kind": "form_submitted",
            }
        ]


TEXTS = [
    "Démo : ESSAI-gratuit",
    "Straße, Œuvre",
    "E\u0301te\u0301",
    "a\u00a0b\u2019c",
    "x[y]^z\\_w",
]


@pytest.mark.parametrize("name", EVERY_ENGINE)
def test_engines_fold_alike(name: str) -> None:
    """Accents, ligatures, combining marks and signs: each engine folds as `fold` does."""
    with ENGINES[name]() as engine:
        table = load_rows(engine, "texts", pa.table({"text": TEXTS}))
        rows = engine.to_pyarrow(table.mutate(ours=folded(table.text))).to_pylist()
    assert {row["text"]: row["ours"] for row in rows} == {text: fold(text) for text in TEXTS}


@pytest.mark.parametrize("name", EVERY_ENGINE)
def test_tests_of_a_column(name: str) -> None:
    """Words, exclusions, ranges and emptiness, together and each alone."""
    asked = {
        "words": Where(words=("demo*", "white paper")),
        "not": Where.model_validate({"words": "demo", "not": {"words": "survey"}}),
        "excluded": Where.model_validate({"not": {"words": "demo"}}),
        "range": Where(gte=2, lt=10),
        "known": Where(known=True),
    }
    values = ["Démonstration", "A white-paper", "Demo survey", "demo", "9", "10", " ", None]
    with ENGINES[name]() as engine:
        table = load_rows(engine, "texts", pa.table({"text": pa.array(values, pa.string())}))
        tests = {key: matches(table, {"text": where}) for key, where in asked.items()}
        rows = engine.to_pyarrow(table.mutate(**tests)).to_pylist()
    held = {key: [row["text"] for row in rows if row[key]] for key in asked}
    assert held == {
        "words": ["Démonstration", "A white-paper", "Demo survey", "demo"],
        "not": ["demo"],
        "excluded": ["Démonstration", "A white-paper", "9", "10", " ", None],
        "range": ["9"],
        "known": ["Démonstration", "A white-paper", "Demo survey", "demo", "9", "10"],
    }
