// Clients of OAuth 2.0 sign people in with a browser: on the web or the same machine, on another device, and in a program with a
// scheme of its own.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { launch, Visitor } from "./browser.mjs";
import { Client, Listener, NATIVE } from "./oauth.mjs";
import { Server, until } from "./server.mjs";

const CONSENT = "/_reeve/pages/consent/";
const ALLOW = "button[value=allow]";
const REFUSE = "button[value=refuse]";
/** The address at which a browser opens a program. */
const PROGRAM = NATIVE.redirect_uris[1];

let server;
let browser;
let listener;
let alice;

before(async () => {
    server = await Server.start();
    [browser, listener, alice] = [await launch(), await Listener.start(), await server.create("alice")];
});

after(async () => {
    await browser?.close();
    listener?.close();
    await server?.stop();
});

/** Leads a visitor who has not signed in from a client to the page that asks for consent. */
async function ask(visitor, url) {
    await visitor.go(url);
    assert.equal(new URL(visitor.page.url()).pathname, "/_reeve/pages/login");
    await visitor.signIn("alice");
    assert.ok(new URL(visitor.page.url()).pathname.startsWith(CONSENT), visitor.page.url());
    const text = await visitor.text();
    for (const part of [NATIVE.client_name, "app.example.com", alice]) assert.ok(text.includes(part), `${part}: ${text}`);
}

/** Checks that a client has the tokens of a session, which it exchanges for new ones and then ends. */
async function use(client, tokens, deviceId) {
    const me = { user_id: alice, device_id: deviceId, is_guest: false };
    assert.deepEqual((await server.whoami(tokens.access_token)).ok, me);
    const next = (await client.refresh(tokens.refresh_token)).ok;
    assert.deepEqual((await server.whoami(next.access_token)).ok, me);
    assert.equal((await server.whoami(tokens.access_token)).status, 401);
    assert.equal((await client.revoke(next.refresh_token)).status, 200);
    assert.equal((await server.whoami(next.access_token)).status, 401);
    assert.equal((await client.refresh(next.refresh_token)).body.error, "invalid_grant");
}

for (const mode of ["query", "fragment"]) {
    test(`a client gets a code in the ${mode}, and then a session`, async () => {
        const client = await Client.register(server);
        const visitor = await Visitor.open(browser, server.url);
        await ask(visitor, client.authorize(listener.redirectUri, "LAPTOP", { response_mode: mode }));
        await visitor.press(ALLOW);
        const address = visitor.page.url();
        assert.ok(address.startsWith(listener.redirectUri), address);
        const { code, ...others } = client.fields(address, mode);
        assert.deepEqual(others, {});
        // A fragment stays in the browser.
        assert.equal(listener.requests.some((request) => request.includes(code)), mode === "query");
        await use(client, (await client.exchange(code, listener.redirectUri)).ok, "LAPTOP");
        assert.deepEqual(visitor.complaints(), []);
        await visitor.close();
    });

    test(`a client learns in the ${mode} that a person refuses`, async () => {
        const client = await Client.register(server);
        const visitor = await Visitor.open(browser, server.url);
        await ask(visitor, client.authorize(listener.redirectUri, "LAPTOP", { response_mode: mode }));
        await visitor.press(REFUSE);
        const { error, code } = client.fields(visitor.page.url(), mode);
        assert.deepEqual({ error, code }, { error: "access_denied", code: undefined });
        assert.deepEqual(visitor.complaints(), []);
        await visitor.close();
    });
}

test("a person types the code of another device", async () => {
    const client = await Client.register(server);
    const visitor = await Visitor.open(browser, server.url);
    const [first, second] = [await client.begin("TELEVISION"), await client.begin("REFRIGERATOR")];
    const page = new URL(first.verification_uri).pathname;
    await visitor.go(first.verification_uri);
    await visitor.signIn("alice");
    await visitor.submit(page, { user_code: first.user_code.toLowerCase().replace("-", " ") });
    const text = await visitor.text();
    const parts = [NATIVE.client_name, alice, "TELEVISION", first.user_code];
    for (const part of parts) assert.ok(text.includes(part), `${part}: ${text}`);
    await visitor.press(ALLOW);
    assert.match(await visitor.text(), /The device has access/);
    await use(client, (await client.poll(first.device_code)).ok, "TELEVISION");

    await visitor.go(second.verification_uri_complete);
    await visitor.submit(page);
    await visitor.press(REFUSE);
    assert.match(await visitor.text(), /The device gets no access/);
    assert.equal((await client.poll(second.device_code)).body.error, "access_denied");
    assert.deepEqual(visitor.complaints(), []);
    await visitor.close();
});

/**
 * Allows a request of a program with a scheme of its own. Nothing on this machine opens the address, so that the page stays.
 * Returns the address at which the server wants the browser to continue, and what the console says of the policy of content.
 */
async function leave(visitor) {
    const { page } = visitor;
    let [location, isOver] = [null, false];
    // The events of pages know nothing of redirects that a browser does not follow.
    const network = await visitor.context.newCDPSession(page);
    await network.send("Network.enable");
    network.on("Network.responseReceivedExtraInfo", ({ statusCode, headers }) => {
        const found = Object.entries(headers).find(([name]) => name.toLowerCase() === "location");
        if (statusCode === 303 && found) location = found[1];
    });
    network.on("Network.requestWillBeSent", ({ request }) => {
        if (request.url.startsWith(PROGRAM)) isOver = true;
    });
    network.on("Network.loadingFailed", () => {
        isOver = true;
    });
    const texts = () => visitor.messages.map((message) => message.text?.() ?? "");
    const refused = () => texts().filter((text) => text.includes("form-action"));
    await page.locator(ALLOW).click({ noWaitAfter: true });
    await until("the browser opens the program or is stopped", () => location !== null && (isOver || refused().length > 0));
    // What the page was told is in its console after it has answered this.
    await page.evaluate(() => 0).catch(() => {});
    return { location, refused };
}

test("a program with a scheme of its own gets a code", async () => {
    const client = await Client.register(server);
    const visitor = await Visitor.open(browser, server.url);
    await ask(visitor, client.authorize(PROGRAM, "TELEPHONE"));
    const { location, refused } = await leave(visitor);
    assert.ok(location.startsWith(`${PROGRAM}?`), location);
    assert.deepEqual(refused(), []);
    const { code } = client.fields(location, "query");
    await use(client, (await client.exchange(code, PROGRAM)).ok, "TELEPHONE");
    await visitor.close();
});

test("a browser would not open the program if the page did not name its scheme", async () => {
    const client = await Client.register(server);
    const visitor = await Visitor.open(browser, server.url);
    await ask(visitor, client.authorize(PROGRAM, "TELEPHONE"));
    await visitor.page.route(`${server.url}${CONSENT}*`, async (route) => {
        const response = await route.fetch();
        const headers = response.headers();
        const policy = headers["content-security-policy"].replace(/form-action [^;]*/, "form-action 'self'");
        await route.fulfill({ response, headers: { ...headers, "content-security-policy": policy } });
    });
    await visitor.page.reload();
    await visitor.page.unrouteAll();
    const { refused } = await leave(visitor);
    await until("the console tells why", () => refused().length > 0);
    await visitor.close();
});
