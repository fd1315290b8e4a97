"""AWS services on this machine's loopback: moto's server, in a thread of the test's own process.

Its S3 and DynamoDB hold what the product asks of them: conditional creation, checksums, conditional writes.  Its
Kinesis loses acknowledged records and is never used.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

REGION = "eu-west-1"


@contextmanager
def aws_server() -> Iterator[str]:
    """Run the services; give the address of all of them."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def client(service: str, endpoint: str) -> Any:
    """Return a client of one of the services."""
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def new_bucket(s3: Any, name: str) -> str:
    """Make an empty bucket, and return its name."""
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    return name
