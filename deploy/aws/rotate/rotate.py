"""Rotates the password of a user of ElastiCache, as Secrets Manager asks for it, step by step.

A user may have two passwords. The new one is added before it becomes the current one, and the last
one holds until the next rotation, so whoever still has it goes on."""

import os
import time

import boto3

CURRENT, PENDING = "AWSCURRENT", "AWSPENDING"


def handler(event, _context):
    secrets, cache = boto3.client("secretsmanager"), boto3.client("elasticache")
    step = {"createSecret": create, "setSecret": give, "testSecret": look, "finishSecret": finish}[event["Step"]]
    step(secrets, cache, event["SecretId"], event["ClientRequestToken"])


def create(secrets, _cache, secret, token):
    """Makes a new password, once for each rotation."""
    if pending(secrets, secret, token) is not None:
        return
    made = secrets.get_random_password(PasswordLength=64, ExcludePunctuation=True)["RandomPassword"]
    secrets.put_secret_value(SecretId=secret, ClientRequestToken=token, SecretString=made, VersionStages=[PENDING])


def give(secrets, cache, secret, token):
    """Lets the user in with the new one as well."""
    new = secrets.get_secret_value(SecretId=secret, VersionId=token, VersionStage=PENDING)["SecretString"]
    both = [current(secrets, secret), new]
    wait(cache)
    cache.modify_user(UserId=os.environ["USER_ID"], AuthenticationMode={"Type": "password", "Passwords": both})


def look(secrets, cache, secret, token):
    """Waits until it holds everywhere. Where a rotation is set up and none begins, Secrets Manager asks
    for this step alone, and there is no new password to look for."""
    if pending(secrets, secret, token) in (None, current(secrets, secret)):
        return
    user = wait(cache)
    if user["Authentication"]["PasswordCount"] != 2:
        raise RuntimeError("the user has not got both passwords")


def finish(secrets, _cache, secret, token):
    """Lets everybody read the new one."""
    versions = secrets.describe_secret(SecretId=secret)["VersionIdsToStages"]
    last = next(version for version, stages in versions.items() if CURRENT in stages)
    if last != token:
        secrets.update_secret_version_stage(
            SecretId=secret, VersionStage=CURRENT, MoveToVersionId=token, RemoveFromVersionId=last
        )


def current(secrets, secret):
    """The password that everybody reads."""
    return secrets.get_secret_value(SecretId=secret, VersionStage=CURRENT)["SecretString"]


def pending(secrets, secret, token):
    """The password of a version that is to become the current one; nothing where it has none."""
    if PENDING not in secrets.describe_secret(SecretId=secret)["VersionIdsToStages"].get(token, []):
        return None
    try:
        return secrets.get_secret_value(SecretId=secret, VersionId=token, VersionStage=PENDING)["SecretString"]
    except secrets.exceptions.ResourceNotFoundException:
        return None


def wait(cache):
    """The user, once no change of it is under way."""
    for _ in range(50):
        user = cache.describe_users(UserId=os.environ["USER_ID"])["Users"][0]
        if user["Status"] == "active":
            return user
        time.sleep(float(os.environ.get("PAUSE", "5")))
    raise TimeoutError("the user is still being modified")
