"""/metrics: what Prometheus reads. For operators, and for the networks that they name."""

from starlette.requests import Request
from starlette.responses import Response

from api.addresses import address_of
from api.dependencies import authenticated, platform_of
from api.route import Router
from core.identity.principals import Scope
from core.telemetry.metrics import CONTENT_TYPE

router = Router("/metrics")
FORWARDED = ("forwarded", "x-forwarded-for", "via")


@router.get("", media="text/plain")
async def expose(request: Request) -> Response:
    """Counters, gauges and histograms in Prometheus's text format. Needs an operator's key, unless it is asked from near."""
    platform = platform_of(request)
    if not _is_near(request):
        await authenticated(request, Scope.OPERATOR)
    return Response(platform.telemetry.metrics.exposition(), media_type=CONTENT_TYPE)


def _is_near(request: Request) -> bool:
    """A proxy that nobody told us of stands near, and whoever is behind it does not; nor does whom a proxy does not name."""
    networks = platform_of(request).settings.metrics_networks
    vouched_for = getattr(request.state, "vouched_for", False)
    if request.client is None or (not vouched_for and any(name in request.headers for name in FORWARDED)):
        return False
    address = address_of(request.client.host)
    return address is not None and any(address in network for network in networks)
