"""What each route asks for: the table of resources and scopes. A route that no line here speaks of does not start.

What a role allows of a scope is in core/identity/principals.py.
"""

from collections.abc import Mapping

from core.identity.principals import Scope

Rule = frozenset[Scope] | None
"""One of these scopes; None lets everybody in."""

OPEN: Rule = None
CHAT: Rule = frozenset({Scope.CHAT})
MANAGE: Rule = frozenset({Scope.ADMIN})
REPORT: Rule = frozenset({Scope.ADMIN, Scope.AUDIT})
OPERATE: Rule = frozenset({Scope.OPERATOR})

RULES: Mapping[str, tuple[Rule, Rule]] = {
    # a resource with all that is below it: what reading (GET) asks for, and what everything else does
    "/health": (OPEN, OPEN),
    "/metrics": (OPEN, OPEN),  # asks by itself for an operator's key, of those who are not near
    "/v1/assistants": (CHAT, CHAT),
    "/v1/batches": (CHAT, CHAT),
    "/v1/chat/completions": (CHAT, CHAT),
    "/v1/conversations": (CHAT, CHAT),
    "/v1/files": (CHAT, CHAT),
    "/v1/models": (CHAT, CHAT),
    "/v1/responses": (CHAT, CHAT),
    "/admin/v1/alerts": (OPERATE, OPERATE),
    "/admin/v1/approvals": (REPORT, MANAGE),
    "/admin/v1/assistants": (REPORT, MANAGE),
    "/admin/v1/audit": (REPORT, REPORT),
    "/admin/v1/audit/erasures": (REPORT, MANAGE),
    "/admin/v1/keys": (REPORT, MANAGE),
    "/admin/v1/limits": (REPORT, MANAGE),
    "/admin/v1/organizations": (OPERATE, OPERATE),
    "/admin/v1/organizations/{organization_id}": (REPORT, MANAGE),
    "/admin/v1/tools": (REPORT, MANAGE),
    "/admin/v1/turns": (REPORT, MANAGE),
    "/admin/v1/usage": (REPORT, REPORT),
    "/admin/v1/users": (REPORT, MANAGE),
    "/admin/v1/webhook_deliveries": (REPORT, MANAGE),
    "/admin/v1/webhooks": (REPORT, MANAGE),
}


def rule_of(method: str, path: str) -> Rule:
    """path: a route's template. Raises LookupError where no line speaks of it."""
    resource = path
    while resource and resource not in RULES:
        resource = resource.rpartition("/")[0]
    if not resource:
        raise LookupError(f"no rule says who may {method} {path}; add its resource to api/access.py")
    reading, changing = RULES[resource]
    return reading if method == "GET" else changing
