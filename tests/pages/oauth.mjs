// Clients of OAuth 2.0: their requests, and the address at which browsers come back to them.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";

const CODE = "authorization_code";
const REFRESH = "refresh_token";
const DEVICE = "urn:ietf:params:oauth:grant-type:device_code";

/** The metadata of a native client, which listens on the loopback interface and has a scheme of its own. */
export const NATIVE = {
    client_name: "An application",
    client_uri: "https://app.example.com/",
    redirect_uris: ["http://127.0.0.1/callback", "com.example.app:/callback"],
    token_endpoint_auth_method: "none",
    response_types: ["code"],
    grant_types: [CODE, REFRESH, DEVICE],
    application_type: "native",
};

export function scope(deviceId) {
    return `urn:matrix:client:api:* urn:matrix:client:device:${deviceId}`;
}

/** A registered client. */
export class Client {
    static async register(server, metadata = NATIVE) {
        const endpoints = (await server.call("GET", "/_matrix/client/v1/auth_metadata")).ok;
        const path = new URL(endpoints.registration_endpoint).pathname;
        const { client_id: id } = (await server.call("POST", path, { body: metadata })).ok;
        return new Client(server, endpoints, id);
    }

    constructor(server, endpoints, id) {
        this.server = server;
        this.endpoints = endpoints;
        this.id = id;
        this.verifier = randomBytes(48).toString("base64url");
        this.state = randomBytes(12).toString("base64url");
    }

    /** Returns the address with which a browser begins to sign somebody in. */
    authorize(redirectUri, deviceId, changes = {}) {
        const url = new URL(this.endpoints.authorization_endpoint);
        const parameters = {
            response_type: "code",
            client_id: this.id,
            redirect_uri: redirectUri,
            scope: scope(deviceId),
            state: this.state,
            code_challenge: createHash("sha256").update(this.verifier).digest("base64url"),
            code_challenge_method: "S256",
            ...changes,
        };
        for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
        return url.href;
    }

    #post(endpoint, fields) {
        const body = new URLSearchParams({ client_id: this.id, ...fields });
        return this.server.call("POST", new URL(this.endpoints[endpoint]).pathname, { body });
    }

    exchange(code, redirectUri) {
        const fields = { grant_type: CODE, code, redirect_uri: redirectUri, code_verifier: this.verifier };
        return this.#post("token_endpoint", fields);
    }

    refresh(token) {
        return this.#post("token_endpoint", { grant_type: REFRESH, refresh_token: token });
    }

    revoke(token) {
        return this.#post("revocation_endpoint", { token });
    }

    /** Begins on a device without a browser; returns its codes. */
    async begin(deviceId) {
        return (await this.#post("device_authorization_endpoint", { scope: scope(deviceId) })).ok;
    }

    poll(deviceCode) {
        return this.#post("token_endpoint", { grant_type: DEVICE, device_code: deviceCode });
    }

    /** Returns the fields of the response with which a browser came back, which names this server and this request. */
    fields(url, mode) {
        const { search, hash } = new URL(url);
        const [here, elsewhere] = mode === "fragment" ? [hash, search] : [search, hash];
        assert.equal(elsewhere, "", url);
        const { iss, state, ...fields } = Object.fromEntries(new URLSearchParams(here.slice(1)));
        assert.deepEqual({ iss, state }, { iss: this.endpoints.issuer, state: this.state });
        return fields;
    }
}

/** A client that waits for the browser on the loopback interface. */
export class Listener {
    static async start() {
        const listener = new Listener();
        listener.server.listen(0, "127.0.0.1");
        await once(listener.server, "listening");
        return listener;
    }

    constructor() {
        /** The paths and queries of the requests. */
        this.requests = [];
        this.server = createServer((request, response) => {
            this.requests.push(request.url);
            response.writeHead(200, { "Content-Type": "text/html; charset=utf-8" });
            response.end("<!doctype html><html lang=en><title>Back</title><main><h1>Back</h1></main></html>");
        });
    }

    get redirectUri() {
        return `http://127.0.0.1:${this.server.address().port}/callback`;
    }

    close() {
        this.server.close();
        this.server.closeAllConnections();
    }
}
