// matrix-js-sdk, the library of Element Web, signs somebody in with its own means: from the metadata of the server to the end of
// the session.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { createClient, MemoryStore, OAuth2, SyncState } from "matrix-js-sdk";
import { TokenRefresher } from "matrix-js-sdk/lib/oauth/tokenRefresher.js";

import { launch, Visitor } from "./browser.mjs";
import { Listener } from "./oauth.mjs";
import { Server, until } from "./server.mjs";

const silence = { trace() {}, debug() {}, info() {}, warn() {}, error() {}, getChild: () => silence };
const METADATA = {
    application_type: "native",
    client_name: "An application with the SDK",
    client_uri: "https://app.example.com/",
    policy_uri: "https://app.example.com/policy",
    redirect_uris: ["http://127.0.0.1/callback"],
};

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

/** Finds the server and registers there, as the SDK does for an application. */
async function begin() {
    const metadata = await createClient({ baseUrl: server.url, logger: silence }).getAuthMetadata();
    const clientId = await OAuth2.registerClient(metadata, METADATA, silence);
    return new OAuth2(metadata, { clientId }, silence);
}

/** Signs somebody in with a browser; returns the tokens. */
async function signIn(oauth, mode) {
    const visitor = await Visitor.open(browser, server.url);
    await visitor.go(await oauth.generateAuthorizationCodeGrantUrl("a state", listener.redirectUri, mode));
    await visitor.signIn("alice");
    assert.match(await visitor.text(), /An application with the SDK/);
    await visitor.press("button[value=allow]");
    const { search, hash } = new URL(visitor.page.url());
    const fields = new URLSearchParams((mode === "fragment" ? hash : search).slice(1));
    assert.equal(fields.get("state"), "a state");
    await visitor.close();
    return oauth.completeAuthorizationCodeGrant(fields.get("code"), listener.redirectUri);
}

/** Returns a client of the SDK with a session, and the tokens that it got since. */
function open(oauth, accessToken, refreshToken) {
    const got = [];
    const client = createClient({
        baseUrl: server.url,
        userId: alice,
        deviceId: oauth.context.deviceId,
        accessToken,
        refreshToken,
        oauthClientId: oauth.context.clientId,
        onTokenRefresh: (tokens) => {
            got.push(tokens);
        },
        logger: silence,
        store: new MemoryStore(),
    });
    return { client, got };
}

for (const mode of ["query", "fragment"]) {
    test(`the SDK signs in with a code in the ${mode}, refreshes its tokens, and signs out`, async () => {
        const oauth = await begin();
        const first = await signIn(oauth, mode);
        const me = { user_id: alice, device_id: oauth.context.deviceId, is_guest: false };
        assert.deepEqual(await open(oauth, first.access_token, first.refresh_token).client.whoami(), me);

        const persisted = [];
        const refresher = new TokenRefresher(oauth, (tokens) => {
            persisted.push(tokens);
        });
        const second = await refresher.refreshTokens(first.refresh_token);
        assert.deepEqual(persisted, [second]);
        assert.ok(second.expiry > new Date(), `${second.expiry}`);
        assert.deepEqual((await server.whoami(second.accessToken)).ok, me);

        // The first access token ended with the use of the second. A client that still has it helps itself.
        const { client, got } = open(oauth, first.access_token, second.refreshToken);
        assert.deepEqual(await client.whoami(), me);
        assert.equal(got.length, 1);
        assert.equal(client.getAccessToken(), got[0].accessToken);
        await client.startClient({ pollTimeout: 1000 });
        await until("the sync is done", () => client.getSyncState() === SyncState.Syncing);

        await client.logout(true);
        assert.equal((await server.whoami(got[0].accessToken)).status, 401);
        await assert.rejects(refresher.refreshTokens(got[0].refreshToken), { name: "TokenRefreshLogoutError" });
    });
}

test("the SDK signs in on a device without a browser", async () => {
    const oauth = await begin();
    const session = await oauth.startDeviceAuthorizationGrant();
    const visitor = await Visitor.open(browser, server.url);
    await visitor.go(session.verification_uri_complete);
    await visitor.signIn("alice");
    await visitor.submit("/_reeve/pages/device");
    await visitor.press("button[value=allow]");
    const tokens = await oauth.waitForDeviceAuthorizationGrant(session);
    const { client } = open(oauth, tokens.access_token, tokens.refresh_token);
    assert.equal((await client.whoami()).device_id, oauth.context.deviceId);
    await client.logout();
    assert.equal((await server.whoami(tokens.access_token)).status, 401);
    await visitor.close();
});
