"""SOAP: only the login by user name, password and security token, for older clients."""

from typing import Any, Final

from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.records import ORGANIZATION
from sandbox.salesforce.request import ApiRequest, ApiResponse
from sandbox.salesforce.xml import DECLARATION, XmlError, element, leaves

XML: Final = "text/xml;charset=UTF-8"
_ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
_PARTNER = "urn:partner.soap.sforce.com"
_FIRST_WITHOUT_LOGIN = 65
_SESSION_SECONDS = 7200
_INVALID = "Invalid username, password, security token; or user locked out."
_NEW_PLACE = (
    f"{_INVALID} Are you at a new location? When accessing Salesforce--either via a desktop client "
    "or the API--from outside of your company's trusted networks, you must add a security token to "
    "your password to log in."
)


def login(request: ApiRequest) -> ApiResponse:
    """Open a session for a user; other SOAP calls are errors."""
    try:
        return _response(_logged_in(request))
    except ApiError as refused:
        return _fault(refused)


def _logged_in(request: ApiRequest) -> dict[str, Any]:
    try:
        texts = leaves(request.body)
    except XmlError as error:
        raise ApiError("soapenv:Client", str(error)) from error
    if not {"username", "password"} <= texts.keys():
        raise ApiError("soapenv:Client", "login() is the only operation here")
    if float(request.version) >= _FIRST_WITHOUT_LOGIN:
        message = "login() is not supported in this API version"
        raise ApiError("UNSUPPORTED_API_VERSION", message)
    credentials = request.store.credentials
    at_home = texts.get("organizationId", "")[:15] == ORGANIZATION[:15]
    if texts["username"] != credentials.username:
        raise ApiError("INVALID_LOGIN", _INVALID)
    if texts["password"] == credentials.password and not at_home:
        raise ApiError("LOGIN_MUST_USE_SECURITY_TOKEN", _NEW_PLACE)
    if texts["password"] not in (credentials.password, credentials.password_and_token):
        raise ApiError("INVALID_LOGIN", _INVALID)
    return _session(request)


def _session(request: ApiRequest) -> dict[str, Any]:
    user = request.store.tables["User"][request.store.user_id]
    soap = f"{request.origin}/services/Soap"
    return {
        "metadataServerUrl": f"{soap}/m/{request.version}/{ORGANIZATION[:15]}",
        "passwordExpired": False,
        "sandbox": False,
        "serverUrl": f"{soap}/u/{request.version}/{ORGANIZATION[:15]}",
        "sessionId": request.store.credentials.new_token(),
        "userId": user["Id"],
        "userInfo": {
            "accessibilityMode": False,
            "orgAttachmentFileSizeLimit": 26_214_400,
            "orgDefaultCurrencyIsoCode": "EUR",
            "orgDisallowHtmlAttachments": False,
            "orgHasPersonAccounts": False,
            "organizationMultiCurrency": False,
            "organizationId": ORGANIZATION,
            "organizationName": "onefunnel",
            "sessionSecondsValid": _SESSION_SECONDS,
            "userEmail": user["Email"],
            "userFullName": user["Name"],
            "userId": user["Id"],
            "userName": user["Username"],
            "userType": "Standard",
        },
    }


def _response(result: dict[str, Any]) -> ApiResponse:
    body = element("loginResponse", {"result": result})
    return ApiResponse(_envelope(body, f'xmlns="{_PARTNER}"'), media=XML)


def _fault(refused: ApiError) -> ApiResponse:
    """Write an error; its code appears twice, and clients read the inner one."""
    code = refused.code if ":" in refused.code else f"sf:{refused.code}"
    detail = element("sf:exceptionCode", refused.code)
    detail += element("sf:exceptionMessage", refused.message)
    content = element("faultcode", code) + element(
        "faultstring", f"{refused.code}: {refused.message}"
    )
    fault = f"{content}<detail><sf:LoginFault>{detail}</sf:LoginFault></detail>"
    body = f"<soapenv:Fault>{fault}</soapenv:Fault>"
    return ApiResponse(
        _envelope(body, f'xmlns:sf="urn:fault.{_PARTNER[4:]}"'), status=500, media=XML
    )


def _envelope(body: str, namespace: str) -> str:
    opening = f'<soapenv:Envelope xmlns:soapenv="{_ENVELOPE}" {namespace}>'
    return f"{DECLARATION}{opening}<soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>"
