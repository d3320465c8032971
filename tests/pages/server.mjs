// Reeve as last built, with a data folder and a mail server of its own, and what its administrator and clients ask of it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHmac, generateKeyPairSync, randomBytes } from "node:crypto";
import { once } from "node:events";
import { openSync, readFileSync, rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { Mailbox } from "./mail.mjs";

const ROOT = resolve(import.meta.dirname, "../..");
const BINARY = resolve(ROOT, process.env.CARGO_TARGET_DIR ?? "target", "debug/reeve");
const PATIENCE_MS = 30_000;
const DAY_MS = 86_400_000;

export const PASSWORD = "password of a visitor";

/** Waits until `check` gives something, and returns it. */
export async function until(what, check) {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
        const found = await check();
        if (found) return found;
        if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
        await sleep(50);
    }
}

async function freePort() {
    const listener = createServer().listen(0, "127.0.0.1");
    await once(listener, "listening");
    const { port } = listener.address();
    listener.close();
    await once(listener, "close");
    return port;
}

/** A response to a client: its status and JSON body. */
class Reply {
    constructor(status, body) {
        this.status = status;
        this.body = body;
    }

    /** Returns the body of a response without an error. */
    get ok() {
        assert.ok(this.status < 400, `${this.status} ${JSON.stringify(this.body)}`);
        return this.body;
    }
}

export class Server {
    /** Starts a server, with an administrator. */
    static async start() {
        const server = new Server(await freePort(), await Mailbox.start(), await mkdtemp(join(tmpdir(), "reeve-pages-")));
        try {
            await server.#begin();
        } catch (error) {
            server.process?.kill("SIGKILL");
            server.mail.close();
            throw error;
        }
        return server;
    }

    constructor(port, mail, folder) {
        this.url = `http://127.0.0.1:${port}`;
        this.mail = mail;
        this.folder = folder;
        this.log = join(folder, "server.log");
        this.secret = randomBytes(16).toString("hex");
    }

    async #begin() {
        const settings = {
            PUBLIC_BASE_URL: this.url,
            PAGES__NAME: "Example",
            REGISTRATION__SHARED_SECRET: this.secret,
            RATE_LIMITS__ENABLED: "false",
            // Hashes are for tests of passwords, not of pages.
            PASSWORD__MEMORY_KIB: "1024",
            PASSWORD__ITERATIONS: "1",
            EMAIL__HOST: "127.0.0.1",
            EMAIL__PORT: String(this.mail.port),
            EMAIL__TLS: "none",
            EMAIL__FROM: "Example <noreply@example.org>",
            ACCOUNT_VALIDITY__ENABLED: "true",
            ACCOUNT_VALIDITY__PERIOD_MS: String(365 * DAY_MS),
            ACCOUNT_VALIDITY__REMIND_MS: String(DAY_MS),
        };
        // The settings of the user who runs the tests are ignored.
        const others = Object.entries(process.env).filter(([name]) => !name.startsWith("REEVE_"));
        const own = Object.entries(settings).map(([name, value]) => [`REEVE_${name}`, value]);
        const output = openSync(this.log, "a");
        const command = ["serve", "--listen", new URL(this.url).host, "--data-dir", join(this.folder, "data")];
        this.process = spawn(BINARY, command, {
            cwd: this.folder,
            env: Object.fromEntries([...others, ...own]),
            stdio: ["ignore", output, output],
        });
        this.exited = once(this.process, "exit");
        this.exited.catch((error) => console.log(`${BINARY} did not start; run \`cargo build\` first: ${error.message}`));
        process.once("exit", () => this.process.kill("SIGKILL"));
        for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
        const answers = () => this.call("GET", "/health").then(() => true, () => false);
        const ended = () => this.process.pid === undefined || this.process.exitCode !== null;
        await until("the server answers", async () => ended() || answers());
        assert.ok(!ended(), `the server did not start:\n${this.#told()}`);
        this.admin = await this.#register("operator");
    }

    /** Returns the end of the log. */
    #told() {
        return readFileSync(this.log, "utf8").slice(-4000);
    }

    /** Stops the server, which must have had no fault. */
    async stop() {
        this.process.kill("SIGTERM");
        const [status] = await this.exited;
        this.mail.close();
        const log = readFileSync(this.log, "utf8");
        assert.equal(status, 0, this.#told());
        assert.ok(!log.includes("ERROR"), this.#told());
        rmSync(this.folder, { recursive: true });
    }

    /** Sends a request of a client, with a JSON body or a form. */
    async call(method, path, { body, token } = {}) {
        const isForm = body instanceof URLSearchParams;
        const response = await fetch(this.url + path, {
            method,
            headers: {
                ...(token !== undefined && { Authorization: `Bearer ${token}` }),
                ...(body !== undefined && !isForm && { "Content-Type": "application/json" }),
            },
            body: body === undefined || isForm ? body : JSON.stringify(body),
            signal: AbortSignal.timeout(PATIENCE_MS),
        });
        const text = await response.text();
        return new Reply(response.status, text.startsWith("{") ? JSON.parse(text) : text);
    }

    /** Creates an administrator with the shared secret; returns its access token. */
    async #register(username) {
        const path = "/_synapse/admin/v1/register";
        const { nonce } = (await this.call("GET", path)).ok;
        const secret = [nonce, username, PASSWORD, "admin"].join("\0");
        const mac = createHmac("sha1", this.secret).update(secret).digest("hex");
        const made = await this.call("POST", path, { body: { nonce, username, password: PASSWORD, admin: true, mac } });
        return made.ok.access_token;
    }

    /** Sends a request of the administrator, which must succeed; returns the body. */
    async administer(method, path, body) {
        return (await this.call(method, path, { body, token: this.admin })).ok;
    }

    /** Creates an account, whose password is `PASSWORD`; returns its user id. */
    async create(localpart, fields = {}) {
        const userId = `@${localpart}:localhost`;
        const path = `/_synapse/admin/v2/users/${encodeURIComponent(userId)}`;
        await this.administer("PUT", path, { password: PASSWORD, ...fields });
        return userId;
    }

    /** Logs in as clients without OAuth 2.0 do; returns the access token and the device. */
    async login(userId, displayName) {
        const body = {
            type: "m.login.password",
            identifier: { type: "m.id.user", user: userId },
            password: PASSWORD,
            initial_device_display_name: displayName,
        };
        return (await this.call("POST", "/_matrix/client/v3/login", { body })).ok;
    }

    whoami(token) {
        return this.call("GET", "/_matrix/client/v3/account/whoami", { token });
    }

    /** Gives an account its cross-signing identity: the master key is enough. */
    async identify(userId, token) {
        const { x } = generateKeyPairSync("ed25519").publicKey.export({ format: "jwk" });
        const key = Buffer.from(x, "base64url").toString("base64").replaceAll("=", "");
        const masterKey = { user_id: userId, usage: ["master"], keys: { [`ed25519:${key}`]: key } };
        const path = "/_matrix/client/v3/keys/device_signing/upload";
        return (await this.call("POST", path, { body: { master_key: masterKey }, token })).ok;
    }
}
