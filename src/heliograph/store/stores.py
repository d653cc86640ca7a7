"""All stores of one database."""

from heliograph.domain.jobs.ids import JobIds
from heliograph.ports.clock import Clock
from heliograph.store.account_store import SqlAccountStore
from heliograph.store.broadcast_store import SqlBroadcastStore
from heliograph.store.control_store import SqlControlStore
from heliograph.store.database.database import Database
from heliograph.store.delivery_store import SqlDeliveryStore
from heliograph.store.job_store import SqlJobStore
from heliograph.store.lease_store import SqlLeaseStore
from heliograph.store.maintenance_store import SqlMaintenanceStore
from heliograph.store.media_file_store import SqlMediaFileStore
from heliograph.store.phone_store import SqlPhoneStore
from heliograph.store.provider_store import SqlProviderInbox, SqlUploadStore
from heliograph.store.schedule_store import SqlScheduleStore
from heliograph.store.sender_store import SqlSenderStore
from heliograph.store.webhook_store import SqlWebhookStore


class Stores:
    """One store for each subject. The database is opened and closed by its owner."""

    def __init__(self, database: Database, clock: Clock, ids: JobIds) -> None:
        self.database = database
        self.jobs = SqlJobStore(database, clock, ids)
        self.accounts = SqlAccountStore(database, clock, ids)
        self.phones = SqlPhoneStore(database, clock, ids)
        self.broadcasts = SqlBroadcastStore(database, clock, ids)
        self.schedules = SqlScheduleStore(database, clock, ids)
        self.control = SqlControlStore(database, clock, ids)
        self.webhooks = SqlWebhookStore(database, clock, ids)
        self.deliveries = SqlDeliveryStore(database, clock, ids)
        self.leases = SqlLeaseStore(database, clock, ids)
        self.sender = SqlSenderStore(database, clock, ids)
        self.maintenance = SqlMaintenanceStore(database, clock, ids)
        self.inbox = SqlProviderInbox(database, clock, ids)
        self.uploads = SqlUploadStore(database, clock, ids)
        self.files = SqlMediaFileStore(database, clock, ids)
