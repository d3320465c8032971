// What the stories share: people with the SDK open, patience, and a word with whoever runs the story.
//
// A story is run with STORY in the environment: JSON with the server's `url`, everybody's `password`, and `people`,
// from a word to the user id. It ends with status 0 if all was as it should be.

import { createInterface } from "node:readline/promises";
import { setTimeout as sleep } from "node:timers/promises";

import { ClientEvent, createClient, MemoryStore, SyncState } from "matrix-js-sdk";
import { logger } from "matrix-js-sdk/lib/logger.js";

const { url, password, people } = JSON.parse(process.env.STORY);
const PATIENCE_MS = 20_000;

// What it logs is much, and says nothing that a failing check does not.
logger.methodFactory = () => () => {};
logger.rebuild();
/** What the server refused, to be told when a story fails. */
const refusals = [];
const silence = { trace() {}, debug() {}, info() {}, warn() {}, error() {}, getChild: () => silence };

/** Waits until `check` gives something, and returns it. */
export async function until(what, check) {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
        const found = check();
        if (found) return found;
        if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
        await sleep(10);
    }
}

/** Has the server killed and started again; returns when it answers. */
export async function restartServer() {
    const input = createInterface({ input: process.stdin });
    console.log("restart the server");
    await input[Symbol.asyncIterator]().next();
    input.close();
}

/** Someone with the SDK open on one device. */
export class Person {
    /** Logs in with a password, as a new device. */
    static async login(word, options = {}) {
        const session = await createClient({ baseUrl: url, logger: silence }).loginRequest({
            type: "m.login.password",
            identifier: { type: "m.id.user", user: people[word] },
            password,
            initial_device_display_name: "SDK of the tests",
        });
        return new Person(session, options);
    }

    /** Logs in and syncs. */
    static async start(word, options = {}) {
        const person = await Person.login(word);
        await person.sync(options);
        return person;
    }

    constructor(session, options = {}) {
        this.session = session;
        this.id = session.user_id;
        /** The requests for /sync that were answered: their parameters and the answers. */
        this.syncs = [];
        this.held = null;
        this.client = createClient({
            baseUrl: url,
            userId: session.user_id,
            deviceId: session.device_id,
            accessToken: session.access_token,
            logger: silence,
            store: new MemoryStore(),
            fetchFn: (resource, init) => this.fetch(resource, init),
            ...options,
        });
        // The SDK goes on after an answer that it could not take in; a story does not.
        this.client.on(ClientEvent.SyncUnexpectedError, fail);
    }

    async fetch(resource, init) {
        const response = await fetch(resource, init);
        const { pathname, searchParams } = new URL(resource);
        if (!response.ok) {
            refusals.push(`${init.method} ${pathname}: ${response.status} ${await response.clone().text()}`);
        }
        if (pathname.endsWith("/sync") && response.ok) {
            this.syncs.push({ parameters: searchParams, answer: await response.clone().json() });
        }
        if (this.held !== null && pathname.includes(this.held.path)) await this.held.release;
        return response;
    }

    /** Keeps back the answers to requests whose path has `path` in it, until the returned function is called. */
    hold(path) {
        const { promise, resolve } = Promise.withResolvers();
        this.held = { path, release: promise };
        return () => {
            this.held = null;
            resolve();
        };
    }

    async sync(options = {}) {
        await this.client.startClient({ lazyLoadMembers: true, threadSupport: true, pollTimeout: 10_000, ...options });
        await this.syncing();
    }

    /** Waits until the server answered a sync and it was taken in. */
    async syncing() {
        await until("the sync is done", () => this.client.getSyncState() === SyncState.Syncing);
    }

    room(roomId) {
        return this.client.getRoom(roomId);
    }

    /** Joins a room and waits until it is there. */
    async join(roomId) {
        await this.client.joinRoom(roomId);
        await until("the room is there", () => this.room(roomId)?.getMyMembership() === "join");
    }

    /** Waits until an event is in a room, in its main timeline or in a thread, and returns it. */
    sees(roomId, eventId) {
        return until(`${this.id} sees ${eventId}`, () => this.room(roomId)?.findEventById(eventId));
    }

    /** An event of a room as a sync brought it, without what the SDK made of it. */
    received(roomId, eventId) {
        return this.syncs
            .flatMap(({ answer }) => answer.rooms?.join?.[roomId]?.timeline?.events ?? [])
            .find((event) => event.event_id === eventId);
    }

    /** The bodies of the messages in the main timeline of a room, as far as it is loaded. */
    lines(roomId) {
        const events = this.room(roomId).getLiveTimeline().getEvents();
        return events.filter((event) => event.getType() === "m.room.message").map((event) => event.getContent().body);
    }

    /** Sends a message, in a thread if one is named, and returns its event id. */
    async say(roomId, body, threadId = null, more = {}) {
        return (await this.client.sendMessage(roomId, threadId, { msgtype: "m.text", body, ...more })).event_id;
    }

    /** Pages back to the beginning of a room; returns its main timeline, oldest first. */
    async history(roomId) {
        const room = this.room(roomId);
        for (let pages = 0; room.oldState.paginationToken !== null; pages++) {
            if (pages === 50) throw new Error("the history does not end");
            await this.client.scrollback(room, 7);
        }
        return room.getLiveTimeline().getEvents();
    }
}

/** A story, from its beginning to the end of the process. */
export async function story(tell) {
    try {
        await tell();
        process.exit(0);
    } catch (error) {
        fail(error);
    }
}

function fail(error) {
    console.log(error);
    console.log(`Refused were, of late:\n${refusals.slice(-5).join("\n")}`);
    process.exit(1);
}
