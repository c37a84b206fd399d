"""What dies when: drawn from a seed, so that the same seed makes the same plan."""

from dataclasses import dataclass, field
from random import Random

REACH = {"commit": 26, "dispatch": 12, "publish": 26, "send": 66, "adopt": 2}
"""How often a replica passes each place, about, while the clients of one point are served."""
WITHIN_SECONDS = 0.6
KINDS = {"named": 55, "heir": 12, "random": 15, "sandbox": 6, "redis": 4, "postgres": 8, "stop": 8}
"""heir: the replica that goes on dies too. stop: the first replica is told to end, and does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """deaths: by replica, the moment at which it kills itself. kills: (after so many seconds, this process)."""

    seed: int
    deaths: dict[str, str] = field(default_factory=dict)
    kills: tuple[tuple[float, str], ...] = ()

    def __str__(self) -> str:
        told = [f"{name} at {moment}" for name, moment in self.deaths.items()]
        told += [f"{name} after {seconds:.3f} s" for seconds, name in self.kills]
        return f"SEED={self.seed} ({', '.join(told)})"


def draw(seed: int) -> Plan:
    chance = Random(seed)
    [kind] = chance.choices(list(KINDS), weights=list(KINDS.values()))
    match kind:
        case "named":
            return Plan(seed=seed, deaths={"one": _moment(chance, ("commit", "dispatch", "publish", "send"))})
        case "heir":
            first = _moment(chance, ("commit", "dispatch", "publish"))
            return Plan(seed=seed, deaths={"one": first, "two": _moment(chance, ("adopt", "commit", "dispatch"))})
        case "random":
            return Plan(seed=seed, kills=((chance.random() * WITHIN_SECONDS, "one"),))
        case server:
            return Plan(seed=seed, kills=((chance.random() * WITHIN_SECONDS, server),))


def _moment(chance: Random, places: tuple[str, ...]) -> str:
    place = chance.choice(places)
    return f"{place}.{chance.choice(('before', 'after'))}.{chance.randint(1, REACH[place])}"
