"""Addresses of managed proxies are recognised by what their services document, and no others."""

import pytest

from poolscope_exporter.core.capacity.recognised_proxies import recognise_proxy

RDS = "eu-west-1.rds.amazonaws.com"
AZURE = "shop.postgres.database.azure.com"
OCEAN = "shop-do-user-1.b.db.ondigitalocean.com"
DEDICATED = "db.abcdefghij.supabase.co"


@pytest.mark.parametrize(
    ("address", "port", "service"),
    [
        (f"shop.proxy-abc123.{RDS}", 5432, "RDS Proxy"),
        (f"readers.endpoint.proxy-abc123.{RDS}", 5432, "RDS Proxy"),
        ("shop.proxy-abc123.cn-north-1.rds.amazonaws.com.cn", 5432, "RDS Proxy"),
        (f"SHOP.Proxy-ABC123.{RDS}.", None, "RDS Proxy"),
        (f"shop.cluster-abc123.{RDS}", 5432, "Aurora"),
        (f"shop.cluster-ro-abc123.{RDS}", 5432, "Aurora"),
        (f"shop.cluster-custom-abc123.{RDS}", 5432, "Aurora"),
        (f"shop.abc123.{RDS}", 5432, None),  # an instance, of RDS or of Aurora
        ("/cloudsql/project:europe-west1:shop", 5432, "the Cloud SQL Auth Proxy"),
        ("/cloudsql", None, None),
        ("/var/run/postgresql", None, None),
        ("aws-0-eu-west-1.pooler.supabase.com", 6543, "Supabase's pooler"),
        ("aws-0-eu-west-1.pooler.supabase.com", 5432, "Supabase's pooler"),
        (DEDICATED, 6543, "Supabase's dedicated pooler"),
        (DEDICATED, 5432, None),
        ("ep-cool-name-a1b2c3-pooler.us-east-2.aws.neon.tech", 5432, "Neon's pooler"),
        ("ep-cool-name-a1b2c3-pooler.c-2.us-east-2.aws.neon.tech", 5432, "Neon's pooler"),
        ("ep-cool-name-a1b2c3.us-east-2.aws.neon.tech", 5432, None),
        (AZURE, 6432, "Azure's PgBouncer"),
        (AZURE, 5432, None),
        (OCEAN, 25061, "DigitalOcean's connection pools"),
        (OCEAN, 25060, None),
        ("bouncer.internal", 6432, None),  # anybody's port
        (f"proxy-abc123.{RDS}.example.com", 5432, None),
        ("", None, None),
    ],
)
def test_a_managed_proxy_is_recognised_by_its_address(
    address: str, port: int | None, service: str | None
) -> None:
    assert recognise_proxy(address, port) == service
