"""The three stores of organisations, users and keys, over one database."""

from core.storage.database import Database
from core.storage.identities import IdentityStore
from core.storage.organizations import OrganizationStore
from core.storage.people import PeopleStore


class Directory:
    def __init__(self, database: Database) -> None:
        self.identities = IdentityStore(database)
        self.organizations = OrganizationStore(database)
        self.people = PeopleStore(database)
