"""matrix-nio, a client library for bots: two users talk in rooms, also through a crash of the server."""

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from conftest import PASSWORD
from nio import (
    AsyncClient,
    AsyncClientConfig,
    BadEvent,
    EnableEncryptionBuilder,
    ErrorResponse,
    Event,
    MatrixRoom,
    MessageDirection,
    ReactionEvent,
    ReceiptType,
    RedactedEvent,
    RedactionEvent,
    RoomCreateEvent,
    RoomMemberEvent,
    RoomMessageText,
    RoomPreset,
    SyncError,
    SyncResponse,
    UnknownBadEvent,
)
from nio.api import RelationshipType

PATIENCE = 20
# The defaults wait a minute before they retry a server that is down.
CONFIG = AsyncClientConfig(max_timeout_retry_wait_time=0.5, request_timeout=15, encryption_enabled=False)
ENCRYPTED = replace(CONFIG, encryption_enabled=True)
# With long timelines a client receives everything that was sent, however slowly it polls.
WHOLE = {"room": {"timeline": {"limit": 100}}}


async def done(request):
    """The response to a request, which must not be an error, nor a response that nio cannot parse."""
    answer = await request
    assert not isinstance(answer, ErrorResponse), answer
    return answer


def text(body):
    return {"msgtype": "m.text", "body": body}


def ids(events):
    return [event.event_id for event in events]


class Person:
    """A user of nio: logged in, syncing all the time, and recording events."""

    def __init__(self, server, user_id, keys=None):
        if keys is None:
            self.client = AsyncClient(server.url, user_id, config=CONFIG)
        else:
            self.client = AsyncClient(server.url, user_id, store_path=str(keys), config=ENCRYPTED)
        self.id = user_id
        self.timelines = {}
        self.left = {}
        self.wrong = []
        self.news = asyncio.Event()
        self.task = None
        self.client.add_event_callback(self.on_event, Event)
        self.client.add_event_callback(self.on_wrong, (BadEvent, UnknownBadEvent))
        self.client.add_response_callback(self.on_answer)

    async def on_event(self, room, event):
        # Callbacks also receive the stripped state of invites, which has no event ids.
        if type(room) is MatrixRoom:
            self.timelines.setdefault(room.room_id, []).append(event)

    async def on_wrong(self, _room, event):
        self.wrong.append(event)

    async def on_answer(self, answer):
        if isinstance(answer, SyncError):
            self.wrong.append(answer)
        if isinstance(answer, SyncResponse):
            self.left |= answer.rooms.leave
        self.news.set()

    def sync(self):
        self.task = asyncio.create_task(self.client.sync_forever(timeout=10_000, sync_filter=WHOLE))

    async def rest(self):
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)

    async def close(self):
        await self.rest()
        await self.client.close()

    async def until(self, what, check):
        """Waits until `check`, called after each sync, returns a value; returns it."""
        deadline = time.monotonic() + PATIENCE
        while True:
            self.news.clear()
            assert not self.wrong, self.wrong
            if found := check():
                return found
            if self.task.done():
                self.task.result()
            try:
                await asyncio.wait_for(self.news.wait(), deadline - time.monotonic())
            except TimeoutError:
                pytest.fail(f"{self.id} waited in vain until {what}")

    async def sees(self, room_id, event_id):
        """The event, once it arrived; it must arrive exactly once."""

        def check():
            return [event for event in self.timelines.get(room_id, []) if event.event_id == event_id]

        [event] = await self.until(f"{event_id} comes", check)
        return event

    def room(self, room_id):
        return self.client.rooms[room_id]

    async def say(self, room_id, content, kind="m.room.message"):
        return (await done(self.client.room_send(room_id, kind, content))).event_id

    async def hides(self, room_id, content):
        """Sends an encrypted message to all devices, verified or not."""
        sent = self.client.room_send(room_id, "m.room.message", content, ignore_unverified_devices=True)
        return (await done(sent)).event_id

    async def history(self, room_id, start, direction, limit=5):
        """All events of a room from `start` to the end, page by page."""
        events = []
        for _ in range(50):
            page = await done(self.client.room_messages(room_id, start, direction=direction, limit=limit))
            assert len(page.chunk) <= limit
            events += page.chunk
            if page.end is None or (direction == MessageDirection.front and not page.chunk):
                return events
            start = page.end
        return pytest.fail(f"the history of {room_id} does not end")


@asynccontextmanager
async def signed_in(server, *user_ids, keys=None):
    """Users who have logged in with their passwords and sync; they encrypt if there is a folder for their keys."""
    everyone = [Person(server, user_id, keys) for user_id in user_ids]
    try:
        for person in everyone:
            session = await done(person.client.login(PASSWORD, device_name="nio of the tests"))
            assert (session.user_id, bool(session.device_id)) == (person.id, True)
            person.sync()
            await person.until("the first sync is done", lambda person=person: person.client.next_batch)
        yield everyone
    finally:
        for person in everyone:
            await person.close()


async def room_of(host, guest, **details):
    """A room that one user creates and the other, invited, joins."""
    made = await done(host.client.room_create(preset=RoomPreset.private_chat, invite=[guest.id], **details))
    room_id = made.room_id
    invitation = await guest.until("the invitation comes", lambda: guest.client.invited_rooms.get(room_id))
    assert (invitation.inviter, invitation.name) == (host.id, details.get("name"))
    assert (await done(guest.client.join(room_id))).room_id == room_id
    for person in (host, guest):
        await person.until(
            "both are in the room",
            lambda person=person: room_id in person.client.rooms and person.room(room_id).joined_count == 2,
        )
    assert room_id not in guest.client.invited_rooms
    return room_id


def main_receipt(person, room_id, reader):
    """The position up to which a reader has read outside threads, as far as the user knows."""
    return person.room(room_id).threaded_read_receipts.get(reader.id, {}).get("main")


def test_conversation(server, people):
    asyncio.run(conversation(server, *people("nora-talks", "otto-talks")))


async def conversation(server, nora_id, otto_id):
    async with signed_in(server, nora_id, otto_id) as (nora, otto):
        room_id = await room_of(nora, otto, name="Plans", topic="What we do")
        room = otto.room(room_id)
        assert (room.display_name, room.topic, room.join_rule) == ("Plans", "What we do", "invite")
        assert {user: member.display_name for user, member in room.users.items()} == {nora_id: "Nora", otto_id: "Otto"}
        assert (await done(otto.client.joined_rooms())).rooms == [room_id]
        assert {member.user_id for member in (await done(nora.client.joined_members(room_id))).members} == {
            nora_id, otto_id,
        }  # fmt: skip

        # Each user sees the messages of both.
        question = await nora.say(room_id, text("Where to?"))
        for person in (nora, otto):
            event = await person.sees(room_id, question)
            assert (type(event), event.sender, event.body) == (RoomMessageText, nora_id, "Where to?")
        answer = await otto.say(room_id, text("To the see") | {"m.mentions": {"user_ids": [nora_id]}})
        assert (await nora.sees(room_id, answer)).sender == otto_id
        await nora.until("the mention is counted", lambda: nora.room(room_id).unread_highlights == 1)

        # A reaction and an edit are separate events; the server bundles them with their targets.
        about = {"rel_type": "m.annotation", "event_id": answer, "key": "🏖️"}
        reaction = await nora.say(room_id, {"m.relates_to": about}, "m.reaction")
        event = await otto.sees(room_id, reaction)
        assert (type(event), event.reacts_to, event.key) == (ReactionEvent, answer, "🏖️")
        about = {"rel_type": "m.replace", "event_id": answer}
        correction = await otto.say(
            room_id, text("* To the sea") | {"m.new_content": text("To the sea"), "m.relates_to": about}
        )
        assert (await nora.sees(room_id, correction)).source["content"]["m.new_content"]["body"] == "To the sea"
        event = (await done(nora.client.room_get_event(room_id, answer))).event
        assert event.source["unsigned"]["m.relations"]["m.replace"]["event_id"] == correction
        related = nora.client.room_get_event_relations(room_id, answer, RelationshipType.annotation, "m.reaction")
        assert ids([event async for event in related]) == [reaction]

        # A redacted message is gone for both, and stays gone.
        slip = await nora.say(room_id, text("My password is 1234"))
        await otto.sees(room_id, slip)
        removal = (await done(nora.client.room_redact(room_id, slip, reason="a slip"))).event_id
        event = await otto.sees(room_id, removal)
        assert (type(event), event.redacts, event.reason) == (RedactionEvent, slip, "a slip")
        event = (await done(otto.client.room_get_event(room_id, slip))).event
        assert (type(event), event.redacter, event.reason) == (RedactedEvent, nora_id, "a slip")
        assert event.source["content"] == {}

        # A new device reads everything, backward from now and forward from the beginning.
        said = [question, answer, reaction, correction, slip, removal]
        more = [await nora.say(room_id, text(f"Line {n}")) for n in range(12)]
        async with signed_in(server, otto_id) as [phone]:
            back = await phone.history(room_id, None, MessageDirection.back)
            assert type(back[-1]) is RoomCreateEvent
            assert len(set(ids(back))) == len(back)
            talk = [event for event in reversed(back) if event.event_id in said + more]
            assert ids(talk) == said + more
            assert type(talk[said.index(slip)]) is RedactedEvent
            joined = [event.state_key for event in back if type(event) is RoomMemberEvent and event.membership == "join"]
            assert joined == [otto_id, nora_id]
            forth = await phone.history(room_id, None, MessageDirection.front, limit=7)
            assert ids(forth) == ids(reversed(back))

        # A user who leaves sees that, and can send no more.
        await done(otto.client.room_leave(room_id))
        await otto.until("the room is left", lambda: room_id in otto.left)
        await nora.until("otto is gone", lambda: nora.room(room_id).joined_count == 1)
        refused = await otto.client.room_send(room_id, "m.room.message", text("Still here"))
        assert (type(refused).__name__, refused.status_code) == ("RoomSendError", "M_FORBIDDEN")


def test_encryption(server, people, tmp_path, restart):
    asyncio.run(encryption(server, *people("nora-hides", "otto-hides"), tmp_path, restart))


async def encryption(server, nora_id, otto_id, keys, restart):
    async with signed_in(server, nora_id, otto_id, keys=keys) as (nora, otto):
        encrypted = [EnableEncryptionBuilder().as_dict()]
        room_id = await room_of(nora, otto, initial_state=encrypted)
        for person in (nora, otto):
            await person.until("the room is encrypted", lambda person=person: person.room(room_id).encrypted)
            await person.until("the keys are there", lambda person=person: not person.client.should_upload_keys)
        question = await nora.hides(room_id, text("Where to?"))
        for person in (nora, otto):
            event = await person.sees(room_id, question)
            assert (type(event), event.body, event.decrypted) == (RoomMessageText, "Where to?", True)
        # The server has no plaintext.
        path = f"/_matrix/client/v3/rooms/{room_id}/event/{question}"
        status, event = await asyncio.to_thread(server.call, "GET", path, token=otto.client.access_token)
        assert (status, event["type"], "Where" in str(event)) == (200, "m.room.encrypted", False)

        # Keys that were sent before a crash exist after it.
        answer = await otto.hides(room_id, text("To the sea"))
        await asyncio.to_thread(restart)
        assert (await nora.sees(room_id, answer)).body == "To the sea"

        # A new device is visible to the members of the room, and reads later messages.
        async with signed_in(server, otto_id, keys=keys) as [phone]:
            await phone.until("the keys are there", lambda: not phone.client.should_upload_keys)
            device_id = phone.client.device_id
            await nora.until("the device is known", lambda: device_id in nora.client.device_store[otto_id])
            more = await nora.hides(room_id, text("Wait for me"))
            for person in (otto, phone):
                assert (await person.sees(room_id, more)).body == "Wait for me"
            await done(phone.client.logout())
        await nora.until("the device is gone", lambda: nora.client.device_store[otto_id][device_id].deleted)


def test_typing_receipts_presence(server, people):
    asyncio.run(signs_of_life(server, *people("nora-lives", "otto-lives")))


async def signs_of_life(server, nora_id, otto_id):
    async with signed_in(server, nora_id, otto_id) as (nora, otto):
        room_id = await room_of(nora, otto)
        room = nora.room(room_id)
        assert room.display_name == "Otto"

        await done(otto.client.room_typing(room_id, True, timeout=30_000))
        await nora.until("otto types", lambda: room.typing_users == [otto_id])
        await done(otto.client.room_typing(room_id, False))
        await nora.until("otto stops", lambda: room.typing_users == [])
        await done(otto.client.room_typing(room_id, True, timeout=500))
        await nora.until("otto types again", lambda: room.typing_users == [otto_id])
        await nora.until("the time is over", lambda: room.typing_users == [])

        # Unread messages are counted until a receipt marks them as read; others see the receipt.
        lines = [await nora.say(room_id, text(f"Line {n}")) for n in range(3)]
        await otto.until("all are counted", lambda: otto.room(room_id).unread_notifications == 3)
        await done(otto.client.update_receipt_marker(room_id, lines[1]))
        await otto.until("one is left", lambda: otto.room(room_id).unread_notifications == 1)
        receipt = await nora.until("the receipt comes", lambda: main_receipt(nora, room_id, otto))
        assert (receipt.event_id, abs(receipt.timestamp / 1000 - time.time()) < 60) == (lines[1], True)

        # Both markers at once: the public receipt, and the private fully-read marker.
        await done(otto.client.room_read_markers(room_id, lines[0], lines[2]))
        await otto.until("none is left", lambda: otto.room(room_id).unread_notifications == 0)
        await otto.until("the marker comes", lambda: otto.room(room_id).fully_read_marker == lines[0])
        receipt = await nora.until("the receipt comes", lambda: room.read_receipts.get(otto_id))
        assert (receipt.event_id, receipt.thread_id) == (lines[2], None)
        assert room.fully_read_marker is None

        # A private receipt counts for its user, and is hidden from others.
        secret = await nora.say(room_id, text("Psst"))
        await otto.until("it is counted", lambda: otto.room(room_id).unread_notifications == 1)
        await done(otto.client.update_receipt_marker(room_id, secret, ReceiptType.read_private))
        await otto.until("it is read", lambda: otto.room(room_id).unread_notifications == 0)
        await nora.sees(room_id, await otto.say(room_id, text("Said later")))
        assert main_receipt(nora, room_id, otto).event_id == lines[1]

        await nora.until("otto is here", lambda: room.users[otto_id].presence == "online")
        # His next sync would set him online again.
        await otto.rest()
        await done(otto.client.set_presence("unavailable", "at lunch"))
        await nora.until("otto is away", lambda: room.users[otto_id].presence == "unavailable")
        assert room.users[otto_id].status_msg == "at lunch"
        presence = await done(nora.client.get_presence(otto_id))
        assert (presence.presence, presence.status_msg) == ("unavailable", "at lunch")


def test_crash(server, people, restart):
    asyncio.run(crash(server, restart, *people("nora-stays", "otto-rests")))


async def crash(server, restart, nora_id, otto_id):
    async with signed_in(server, nora_id, otto_id) as (nora, otto):
        room_id = await room_of(nora, otto, name="Shaky")
        before = await nora.say(room_id, text("Good night"))
        await otto.sees(room_id, before)
        await done(otto.client.update_receipt_marker(room_id, before))
        await nora.until("the receipt comes", lambda: main_receipt(nora, room_id, otto))
        await otto.client.set_displayname("Otto the Sleeper")
        await otto.until("the name comes", lambda: otto.room(room_id).users[otto_id].display_name == "Otto the Sleeper")

        # Otto stops, and keeps his token and position. Nora sends, while the server is killed and restarted.
        await otto.close()
        since = otto.client.next_batch
        words = [f"Word {n}" for n in range(40)]
        sent = []

        async def talk():
            for word in words:
                sent.append(await nora.say(room_id, text(word)))
                await asyncio.sleep(0.02)

        talking = asyncio.create_task(talk())
        await nora.until("some words are said", lambda: len(sent) >= 10)
        await asyncio.to_thread(restart)
        await talking
        assert len(set(sent)) == len(words)

        # Nora's connection broke in between: she has each message once, in order, and no others.
        for event_id in sent:
            await nora.sees(room_id, event_id)
        assert [event.body for event in nora.timelines[room_id] if type(event) is RoomMessageText] == ["Good night", *words]

        # Otto returns: the newest events and a gap, which he closes; a repeated request has the same response.
        async with resumed(server, otto) as phone:
            woke = [await done(phone.client.sync(since=since, sync_filter={"room": {"timeline": {"limit": 10}}}))]
            woke.append(await done(phone.client.sync(since=since, sync_filter={"room": {"timeline": {"limit": 10}}})))
            [first, again] = [answer.rooms.join[room_id].timeline for answer in woke]
            assert (first.limited, ids(first.events)) == (True, sent[-10:])
            assert (again.limited, ids(again.events)) == (True, sent[-10:])
            gap = await done(
                phone.client.room_messages(room_id, first.prev_batch, since, MessageDirection.back, limit=100)
            )
            assert ids(reversed(gap.chunk)) == sent[:-10]

            # From there it continues as if nothing had happened.
            phone.sync()
            reply = await phone.say(room_id, text("Good morning"))
            for person in (nora, phone):
                await person.sees(room_id, reply)
            await done(phone.client.room_typing(room_id, True))
            await nora.until("otto types", lambda: nora.room(room_id).typing_users == [otto_id])
            assert phone.wrong == []

        # Earlier events exist for a client that starts from the beginning.
        async with signed_in(server, nora_id) as [tablet]:
            room = tablet.room(room_id)
            assert (room.display_name, room.users[otto_id].display_name) == ("Shaky", "Otto the Sleeper")
            assert main_receipt(tablet, room_id, otto).event_id == before
            seen = [event.event_id for event in tablet.timelines[room_id] if type(event) is RoomMessageText]
            assert seen == [before, *sent, reply]


@asynccontextmanager
async def resumed(server, person):
    """The same session as before, in a client that knows only its token."""
    again = Person(server, person.id)
    again.client.restore_login(person.id, person.client.device_id, person.client.access_token)
    try:
        yield again
    finally:
        await again.close()
