"""One point: some clients are served, something dies, and all must be as if it had not."""

import asyncio
from dataclasses import dataclass
from random import Random

from tests.crash.customer import Customer
from tests.crash.plan import Plan
from tests.crash.stand import Stand
from tests.crash.verdict import all_are_well

CUSTOMERS = 2
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """died: of those that were to. resumed: how often clients came back for the rest of a stream."""

    plan: Plan
    died: int
    resumed: int


async def play(stand: Stand, plan: Plan) -> Outcome:
    """Raises AssertionError."""
    chance = Random(plan.seed)
    await asyncio.gather(*(replica.arm(plan.deaths.get(replica.name)) for replica in stand.replicas))
    await stand.ready()
    before = {replica.name: replica.deaths for replica in stand.replicas}
    customers = [Customer(f"{plan.seed}-{n}", stand.replicas, stand.client, Random(chance.random())) for n in range(CUSTOMERS)]
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
        for customer in customers:
            tasks.create_task(customer.visit())
            tasks.create_task(customer.pass_by())
            tasks.create_task(customer.insist())
        for seconds, name in plan.kills:
            tasks.create_task(_kill(stand, seconds, name))
    died = len(plan.kills) + sum(stand.replica(name).deaths > before[name] for name in plan.deaths)
    await asyncio.gather(*(replica.arm(None) for replica in stand.replicas))
    await stand.ready()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await all_are_well(stand, customers)
    return Outcome(
        plan=plan,
        died=died,
        resumed=sum(answer.resumed for customer in customers for answer in customer.answers),
    )


async def _kill(stand: Stand, seconds: float, name: str) -> None:
    await asyncio.sleep(seconds)
    await stand.kill(name)
