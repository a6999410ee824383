"""Two rotations of the password of Valkey, with Secrets Manager from moto and a user that is being
modified for a while whenever it was changed."""

import os
import uuid

os.environ.update(
    AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="eu-central-1",
    USER_ID="daemon", PAUSE="0",
)

import boto3
from moto import mock_aws

import rotate


class Cache:
    """What of ElastiCache's API the rotation uses."""

    def __init__(self, password):
        self.passwords, self.busy = [password], 0

    def describe_users(self, UserId):
        assert UserId == "daemon"
        self.busy = max(0, self.busy - 1)
        user = {"Status": "modifying" if self.busy else "active"}
        return {"Users": [user | {"Authentication": {"PasswordCount": len(self.passwords)}}]}

    def modify_user(self, UserId, AuthenticationMode):
        assert UserId == "daemon" and not self.busy and AuthenticationMode["Type"] == "password"
        assert all(16 <= len(password) <= 128 for password in AuthenticationMode["Passwords"])
        self.passwords, self.busy = AuthenticationMode["Passwords"], 3


def tried_out(secrets, secret, first):
    """What Secrets Manager asks for when a rotation is set up and none begins."""
    token = str(uuid.uuid4())
    ask = lambda: rotate.handler({"SecretId": secret, "ClientRequestToken": token, "Step": "testSecret"}, None)
    stage = lambda password: secrets.put_secret_value(
        SecretId=secret, ClientRequestToken=token, SecretString=password, VersionStages=["AWSPENDING"]
    )
    ask()
    stage(first)
    ask()
    token = str(uuid.uuid4())
    stage("n" * 64)
    try:
        ask()
    except RuntimeError:
        pass
    else:
        raise AssertionError("a new password that the user has not got was taken for one that holds")
    secrets.update_secret_version_stage(SecretId=secret, VersionStage="AWSPENDING", RemoveFromVersionId=token)


STEPS = ["createSecret", "setSecret", "testSecret", "finishSecret"]


@mock_aws
def main():
    secrets = boto3.client("secretsmanager")
    first = "p" * 64
    secret = secrets.create_secret(Name="redis-password", SecretString=first)["ARN"]
    cache = Cache(first)
    client = boto3.client
    rotate.boto3.client = lambda name: cache if name == "elasticache" else client(name)
    current = lambda: secrets.get_secret_value(SecretId=secret, VersionStage="AWSCURRENT")["SecretString"]

    tried_out(secrets, secret, first)
    known = [first]
    for _ in range(2):
        token = str(uuid.uuid4())
        for step in STEPS:
            # Secrets Manager may ask for a step again.
            for _ in range(2):
                rotate.handler({"SecretId": secret, "ClientRequestToken": token, "Step": step}, None)
            holds = current()
            assert holds in cache.passwords, f"{step}: the current password does not hold"
            assert holds == known[-1] or step == "finishSecret", f"{step}: read too early"
        assert current() != known[-1]
        assert cache.passwords == [known[-1], current()], "the last one and the new one hold"
        known.append(current())
    assert len(set(known)) == 3


main()
