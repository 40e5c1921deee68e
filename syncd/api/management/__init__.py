"""Contract §9's management over HTTP: one router a noun, under `/v1/freelancers`."""

from syncd.api.management import accounts, consultations, freelancers, keys, schedules

ROUTERS = (freelancers.router, schedules.router, consultations.router, accounts.router, keys.router)
