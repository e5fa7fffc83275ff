"""Steps 1 to 4 of the draft's example usage, against a real server, each result and each error's shape asserted.

Reads one JSON file, named by the first argument: {"url", "operatorToken", "keyPackages": {handle: [hex MLSMessage]},
"lastResort": {handle: hex MLSMessage}}. Ends non-zero at the first thing that is not as docs/PROTOCOL.md says.
"""

import asyncio
import hashlib
import json
import sys
import time
import uuid

import websockets

from aegis_client import Client, Refused

ANY = object()


def credential(handle):
    """A basic credential: its type, then the identity with a variable-length header (RFC 9420, 2.1.2 and 5.3)."""
    identity = handle if isinstance(handle, bytes) else handle.encode()
    return b"\x00\x01" + vector(identity)


def vector(data):
    assert len(data) < 0x4000
    return (bytes([len(data)]) if len(data) < 0x40 else (0x4000 | len(data)).to_bytes(2, "big")) + data


def reference(message):
    """The KeyPackageRef of an MLSMessage with a KeyPackage of a suite that hashes with SHA-256 (RFC 9420, 5.2)."""
    assert message[:4] == bytes.fromhex("00010005")
    return hashlib.sha256(vector(b"MLS 1.0 KeyPackage Reference") + vector(message[4:])).digest()


async def refused(call, code, reason, **details):
    try:
        result = await call
    except Refused as refusal:
        error = refusal.error
        assert (error["code"], error["reason"]) == (code, reason), error
        assert isinstance(error["message"], str) and isinstance(error["retryable"], bool), error
        for name, value in details.items():
            found = error["details"][name]
            assert value is ANY or found == value, error
        return error
    raise AssertionError(f"expected {code}/{reason}, got {result}")


async def not_upgraded(status, url, **options):
    try:
        socket = await websockets.connect(url, compression=None, **options)
    except websockets.InvalidStatusCode as refusal:
        assert refusal.status_code == status, refusal
        return
    await socket.close()
    raise AssertionError(f"expected HTTP {status}, was connected")


async def inbox_with(app, client, kinds):
    """The client's inbox, once events of all these kinds are in it: they follow what caused them."""
    deadline = time.monotonic() + 10
    while True:
        inbox = await app.call("stream.read", {"kind": "client", "id": client})
        if kinds <= {event[2] for event in inbox["events"]}:
            return inbox
        assert time.monotonic() < deadline, inbox
        await asyncio.sleep(0.05)


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


async def step_one(url, operator_token):
    """Define an application."""
    await not_upgraded(400, url, extra_headers=bearer(operator_token))
    await not_upgraded(401, url, subprotocols=["aegis.v1"])
    await not_upgraded(401, url, subprotocols=["aegis.v1"], extra_headers=bearer("aegis_nobody_" + "0" * 43))

    operator = await Client.connect(url, operator_token)
    welcome = await asyncio.wait_for(operator.welcome, 10)
    assert welcome["protocol"] in (1, "1", "aegis.v1"), welcome
    assert {"session", "node", "version", "limits"} <= welcome.keys() and "applicationId" not in welcome, welcome
    assert {"messageBytesMax", "inFlightMax", "streamsMax", "heartbeatMs", "ttlMsMax"} <= welcome["limits"].keys()

    await refused(operator.call("application.destroy"), "UNIMPLEMENTED", "UNKNOWN_METHOD")
    await refused(operator.call("application.create", {"name": 7}), "INVALID_ARGUMENT", "BAD_PARAMS", path=ANY)

    create = {"name": "python", "settings": {"keyPoolTarget": 4, "keyPoolLow": 2}}
    created = await operator.call("application.create", create, key="create")
    assert uuid.UUID(created["applicationId"]) and created["key"]["secret"].startswith("aegis_"), created.keys()
    again = await operator.call("application.create", create, key="create")
    assert again == created, "a retry by key answers as the first time"
    await refused(operator.call("application.create", {"name": "other"}, key="create"), "ALREADY_EXISTS", "KEY_REUSED")

    named = {"applicationId": created["applicationId"]}
    listed = (await operator.call("application.list"))["applications"]
    assert [one["name"] for one in listed if one["applicationId"] == named["applicationId"]] == ["python"], listed
    got = await operator.call("application.get", named)
    assert got["settings"]["keyPoolTarget"] == 4 and got["settings"]["pastEpochs"] == 1, got
    assert got["settings"]["ciphersuites"] == [1, 2, 3, 7], got
    updated = await operator.call("application.update", {**named, "settings": {"pastEpochs": 2}})
    assert updated["settings"]["pastEpochs"] == 2 and updated["settings"]["keyPoolTarget"] == 4, updated

    narrow = await operator.call("application.createKey", {**named, "scopes": ["identity"]})
    keys = (await operator.call("application.listKeys", named))["keys"]
    assert sorted(len(key["scopes"]) for key in keys) == [1, 3] and "secret" not in keys[0], keys
    limited = await Client.connect(url, narrow["secret"])
    await refused(limited.call("keyPool.list", {"clientId": str(uuid.uuid4())}), "PERMISSION_DENIED", "SCOPE")
    await refused(limited.call("application.list"), "PERMISSION_DENIED", "SCOPE")
    assert (await limited.call("application.get"))["applicationId"] == named["applicationId"]
    await operator.call("application.revokeKey", {**named, "keyId": narrow["keyId"]})
    await asyncio.wait_for(limited._socket.wait_closed(), 5)
    assert limited._socket.close_code == 4501, limited._socket.close_code
    await not_upgraded(403, url, subprotocols=["aegis.v1"], extra_headers=bearer(narrow["secret"]))

    await refused(operator.call("application.get", {"applicationId": str(uuid.uuid4())}), "NOT_FOUND", ANY_REASON)
    await operator.close()
    return created


async def step_two(app, handles):
    """Create and manage identities."""
    clients = {}
    for handle in handles:
        tags = ["account:" + handle.split("/")[0], "person"]
        record = await app.call("identity.create", {"clientIdentity": credential(handle), "tags": tags})
        assert record["handle"] == handle and record["clientIdentity"] == credential(handle), record
        assert sorted(record["tags"]) == sorted(tags) and record["version"] == 1, record
        assert abs(record["createdAt"] - time.time() * 1000) < 60_000, record
        clients[handle] = record["clientId"]
    first = handles[0]

    taken = app.call("identity.create", {"clientIdentity": credential(first)})
    await refused(taken, "ALREADY_EXISTS", "HANDLE_TAKEN")
    odd = app.call("identity.create", {"clientIdentity": credential(b"\xff\xfe")})
    await refused(odd, "INVALID_ARGUMENT", "IDENTITY_INVALID", cause="handle_not_utf8")
    cut = app.call("identity.create", {"clientIdentity": b"\x00\x01\x20short"})
    await refused(cut, "INVALID_ARGUMENT", "IDENTITY_INVALID", cause="malformed")
    many = app.call("identity.create", {"clientIdentity": credential("many"), "tags": [f"t{n}" for n in range(65)]})
    await refused(many, "RESOURCE_EXHAUSTED", "TAGS_LIMIT")

    nobody = str(uuid.uuid4())
    got = (await app.call("identity.get", {"clientIds": [clients[first], nobody]}))["clients"]
    assert got[0]["handle"] == first and got[1]["clientId"] == nobody, got
    assert got[1]["error"]["code"] == "NOT_FOUND", got

    found = await app.call("identity.find", {"all": ["person"], "none": ["account:bob"], "limit": 1})
    rest = await app.call("identity.find", {"all": ["person"], "none": ["account:bob"], "cursor": found["cursor"]})
    ids = [one["clientId"] for one in found["clients"] + rest["clients"]]
    assert sorted(ids) == sorted(clients[handle] for handle in handles if not handle.startswith("bob")), ids
    await refused(app.call("identity.find", {"none": ["person"]}), "INVALID_ARGUMENT", "FILTER_EMPTY")

    resolved = await app.call("identity.resolve", {"handle": first})
    assert resolved == {"clientId": clients[first], "version": 1, "current": True}, resolved
    assert await app.call("identity.resolve", {"clientIdentity": credential(first)}) == resolved
    valid = await app.call("identity.validate", {"clientIdentity": credential("somebody")})
    assert valid["valid"] is True and valid["handle"] == "somebody", valid
    invalid = await app.call("identity.validate", {"clientIdentity": b"\xff\xff\x00"})
    assert invalid["valid"] is False and invalid["cause"] == "type_unsupported", invalid

    # A client that changes its name, its tags, and then goes.
    guest = await app.call("identity.create", {"clientIdentity": credential("guest"), "tags": ["visitor"]}, key="guest")
    assert await app.call(
        "identity.create", {"clientIdentity": credential("guest"), "tags": ["visitor"]}, key="guest"
    ) == guest
    one = {"clientId": guest["clientId"]}
    renamed = await app.call("identity.update", {**one, "clientIdentity": credential("visitor"), "ifVersion": 1})
    assert renamed["handle"] == "visitor" and renamed["version"] == 2, renamed
    late = app.call("identity.update", {**one, "tags": {"add": ["late"]}, "ifVersion": 1})
    await refused(late, "ABORTED", "VERSION_MISMATCH")
    tagged = await app.call("identity.update", {**one, "tags": {"add": ["b"], "remove": ["visitor"]}})
    assert tagged["tags"] == ["b"] and tagged["version"] == 3, tagged
    assert (await app.call("identity.find", {"any": ["visitor"]}))["clients"] == []
    former = await app.call("identity.resolve", {"handle": "guest"})
    assert former["clientId"] == guest["clientId"] and former["current"] is False, former
    history = (await app.call("identity.history", one))["identities"]
    assert [entry["handle"] for entry in history] == ["guest", "visitor"], history
    assert "until" in history[0] and "until" not in history[1], history
    inbox = await inbox_with(app, guest["clientId"], {"identity.updated"})
    assert [(event[0], event[2]) for event in inbox["events"]] == [(1, "identity.updated")], inbox
    assert inbox["recovered"] is True and inbox["more"] is False and inbox["position"]["offset"] == 1, inbox
    acknowledged = {"id": guest["clientId"], "position": inbox["position"]}
    assert (await app.call("stream.acknowledge", acknowledged))["position"] == inbox["position"]
    assert await app.call("identity.delete", one) == {}
    gone = (await app.call("identity.get", {"clientIds": [guest["clientId"]]}))["clients"][0]
    assert gone["error"]["code"] == "NOT_FOUND", gone
    return clients


async def step_three(app, clients, packages, last_resort):
    """Create and manage key pools."""
    for handle, client in clients.items():
        mine = packages[handle]
        publish = {"clientId": client, "keyPackages": [*mine, b"\x00\x01\x00\x05junk"], "lastResort": last_resort[handle]}
        published = await app.call("keyPool.publish", publish)
        expected = {reference(one) for one in [*mine, last_resort[handle]]}
        assert set(published["accepted"]) == expected, "accepted packages are named by their references"
        assert [(one["index"], one["reason"]) for one in published["rejected"]] == [(len(mine), "MALFORMED")], published
        assert published["available"] == [{"ciphersuite": 1, "label": "", "available": len(mine)}], published
        again = await app.call("keyPool.publish", {"clientId": client, "keyPackages": mine})
        assert set(again["accepted"]) == {reference(one) for one in mine} and again["rejected"] == [], again

    first, second = list(clients)[:2]
    foreign = await app.call("keyPool.publish", {"clientId": clients[first], "keyPackages": packages[second][:1]})
    assert foreign["accepted"] == [] and foreign["rejected"][0]["reason"] == "WRONG_IDENTITY", foreign
    gone = app.call("keyPool.publish", {"clientId": str(uuid.uuid4()), "keyPackages": packages[first][:1]})
    await refused(gone, "NOT_FOUND", ANY_REASON)

    pools = (await app.call("keyPool.status", {"clientIds": [clients[first], str(uuid.uuid4())]}))["pools"]
    (queue,) = pools[0]["queues"]
    assert queue["available"] == len(packages[first]) and queue["lastResort"] is True, pools
    assert queue["soonestNotAfter"] > time.time() * 1000 and pools[1]["error"]["code"] == "NOT_FOUND", pools

    listed = (await app.call("keyPool.list", {"clientId": clients[first]}))["keyPackages"]
    assert len(listed) == len(packages[first]) + 1, listed
    assert [one["keyPackageRef"] for one in listed if one["lastResort"]] == [reference(last_resort[first])], listed
    victim = reference(packages[first][-1])
    assert await app.call("keyPool.remove", {"clientId": clients[first], "keyPackageRefs": [victim]}) == {"removed": 1}


async def step_four(app, clients, packages, last_resort):
    """Fetch keys."""
    first, second = list(clients)[:2]
    target = {"targets": [{"clientId": clients[first]}], "allowLastResort": False}
    claimed = await app.call("keyPool.claim", target, key="claim-1")
    (package,) = claimed["claimed"]
    assert claimed["failed"] == [] and package["clientId"] == clients[first] and package["ciphersuite"] == 1, claimed
    assert package["keyPackage"] in packages[first] and package["lastResort"] is False, package
    assert package["keyPackageRef"] == reference(package["keyPackage"]), package
    assert await app.call("keyPool.claim", target, key="claim-1") == claimed, "a retry gets the same package"

    used = await app.call("keyPool.publish", {"clientId": clients[first], "keyPackages": [package["keyPackage"]]})
    assert used["rejected"][0]["reason"] == "USED", used

    by_tag = {"targets": [{"all": ["person"]}], "exclude": [clients[second]]}
    several = await app.call("keyPool.claim", by_tag)
    others = sorted(client for handle, client in clients.items() if handle != second)
    assert sorted(one["clientId"] for one in several["claimed"]) == others, several
    nobody = await app.call("keyPool.claim", {"targets": [{"any": ["no such tag"]}]})
    assert nobody == {"claimed": [], "failed": []}, nobody

    suites = {"targets": [{"clientId": clients[second]}], "ciphersuites": [7]}
    failed = (await app.call("keyPool.claim", suites))["failed"]
    assert failed == [{"clientId": clients[second], "reason": "NO_CIPHERSUITE"}], failed
    stranger = str(uuid.uuid4())
    failed = (await app.call("keyPool.claim", {"targets": [{"clientId": stranger}]}))["failed"]
    assert failed == [{"clientId": stranger, "reason": "NOT_FOUND"}], failed

    # The pool runs dry: every package once, then none, then the last resort, which says so.
    handed = {package["keyPackage"], *(one["keyPackage"] for one in several["claimed"])}
    while True:
        answer = await app.call("keyPool.claim", target)
        if not answer["claimed"]:
            break
        assert answer["claimed"][0]["keyPackage"] not in handed, "a one-time package goes out once"
        handed.add(answer["claimed"][0]["keyPackage"])
    assert answer["failed"] == [{"clientId": clients[first], "reason": "POOL_EMPTY"}], answer
    for _ in range(2):
        (last,) = (await app.call("keyPool.claim", {"targets": [{"clientId": clients[first]}]}))["claimed"]
        assert last["lastResort"] is True and last["keyPackage"] == last_resort[first], last
    inbox = await inbox_with(app, clients[first], {"keyPool.low", "keyPool.lastResortUsed"})
    low = next(body for _, _, kind, body in inbox["events"] if kind == "keyPool.low")
    assert low["ciphersuite"] == 1 and low["label"] == "" and low["target"] == 4 and low["available"] <= 2, low


class AnyReason(str):
    """Equal to every reason: where the protocol's page names only the code."""

    def __eq__(self, other):
        return isinstance(other, str)

    __hash__ = str.__hash__


ANY_REASON = AnyReason()


async def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        given = json.load(file)
    packages = {handle: [bytes.fromhex(one) for one in many] for handle, many in given["keyPackages"].items()}
    last_resort = {handle: bytes.fromhex(one) for handle, one in given["lastResort"].items()}

    created = await step_one(given["url"], given["operatorToken"])
    print("step 1: an application is defined")
    app = await Client.connect(given["url"], created["key"]["secret"])
    assert (await asyncio.wait_for(app.welcome, 10))["applicationId"] == created["applicationId"]
    clients = await step_two(app, list(packages))
    print("step 2: identities are created and managed")
    await step_three(app, clients, packages, last_resort)
    print("step 3: key pools are created and managed")
    await step_four(app, clients, packages, last_resort)
    print("step 4: keys are fetched")
    await app.close()


asyncio.run(main())
