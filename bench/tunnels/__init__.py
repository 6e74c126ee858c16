"""What is measured: leat and its peers (TUNNELS), and what loads them."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "link"))

# pylint: disable=wrong-import-position
from .base import BACKEND_PORT, BUILD, Direct, Floor, Tunnel, VISITOR_PORT, wait_for  # noqa: E402,F401
from .found import Bore, Chisel, Frp, Rathole, RatholeTls  # noqa: E402
from .generator import finish, measure, start_backend, start_client  # noqa: E402,F401
from .leat import Leat, LeatHttp, LeatMany, LeatSealed, LeatWebSocket  # noqa: E402,F401
from .peers import Haproxy, HaproxyTls, Ssh, SshChacha, Stunnel, Yamux, YamuxWide  # noqa: E402

TUNNELS = {tunnel.name: tunnel for tunnel in (
    Direct, Floor, Leat, LeatWebSocket, LeatSealed, LeatHttp, Haproxy, HaproxyTls, Stunnel, Ssh, SshChacha,
    Yamux, YamuxWide, Frp, Rathole, RatholeTls, Chisel, Bore)}
