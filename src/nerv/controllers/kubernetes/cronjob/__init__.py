"""CronJobs: Jobs made on a schedule. `schedule` reads the five fields, `controller` makes and removes Jobs."""

from nerv.controllers.kubernetes.cronjob.controller import cron_jobs

__all__ = ["cron_jobs"]
