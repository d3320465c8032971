// Every page, as people see it: in each language, light and dark, on a telephone and on a wide screen.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { launch, Visitor } from "./browser.mjs";
import { Client, NATIVE } from "./oauth.mjs";
import { PASSWORD, Server, until } from "./server.mjs";

const ROOT = "/_reeve/pages";
const ACCOUNT = `${ROOT}/account`;
const NEW_PASSWORD = "another password of a visitor";
const WRONG = "wrong";
// Texts of others, in which no line can be broken.
const NAME = "Augusta-Ada-King-Countess-of-Lovelace-who-wrote-the-first-program";
const TELEPHONE = "A-telephone-whose-name-is-longer-than-the-telephone-is-wide";
const APPLICATION = "An-application-whose-makers-like-names-that-do-not-fit-on-a-telephone";

let server;
let browser;

before(async () => {
    server = await Server.start();
    browser = await launch();
});

after(async () => {
    await browser?.close();
    await server?.stop();
});

for (const language of ["en", "de"]) {
    for (const scheme of ["light", "dark"]) {
        for (const width of [360, 1280]) {
            test(`every page in '${language}', ${scheme}, ${width} pixels wide`, () => tour({ language, scheme, width }));
        }
    }
}

test("the checks find what is wrong with a page", async () => {
    const visitor = await Visitor.open(browser, server.url);
    await visitor.go(`${ROOT}/login`);
    await visitor.page.evaluate(() => {
        document.documentElement.lang = "fr";
        document.querySelector("label").remove();
        const wide = document.createElement("p");
        wide.textContent = "wide";
        wide.style.minWidth = "5000px";
        const style = document.createElement("style");
        style.textContent = "p { color: red }";
        document.body.append(wide, style);
        console.error("a fault of a script");
    });
    const faults = (await visitor.faults()).join("\n");
    const signs = [/^label \(critical\)/m, /language 'fr'/, /pixels wider/, /console says: a fault/, /Content Security Policy/];
    for (const sign of signs) assert.match(faults, sign);
    await visitor.close();
});

/** Leads a new visitor over all pages. */
async function tour(look) {
    const localpart = `ada.${look.language}.${look.scheme}.${look.width}`;
    const userId = await server.create(localpart, { displayname: NAME });
    const session = await server.login(userId, TELEPHONE);
    const visitor = await Visitor.open(browser, server.url, look);
    const person = {
        visitor,
        userId,
        address: `${localpart}@example.org`,
        token: session.access_token,
        deviceId: session.device_id,
    };
    const account = [profile, password, emails, archives, identity];
    for (const part of [arrival, ...account, clients, devices, renewal, sessions, recovery, end]) await part(person);
    await visitor.close();
}

async function arrival({ visitor, userId }) {
    await visitor.go(`${ROOT}/nothing`);
    await visitor.see("error", 404);
    const client = await Client.register(server);
    await visitor.go(client.authorize(NATIVE.redirect_uris[1], "A", { scope: "openid" }));
    await visitor.see("refused", 400);
    await visitor.go(ACCOUNT);
    await visitor.see("login");
    await visitor.signIn(userId, WRONG);
    await visitor.see("login-wrong", 403);
    await visitor.signIn(userId);
    await visitor.see("account");
}

async function profile({ visitor }) {
    const page = `${ACCOUNT}/profile`;
    await visitor.go(page);
    await visitor.see("profile");
    await visitor.submit(page, { displayname: `${NAME}-too` });
    await visitor.see("profile-saved");
}

async function password({ visitor, userId }) {
    const page = `${ACCOUNT}/password`;
    const fields = { password: PASSWORD, new_password: NEW_PASSWORD, again: NEW_PASSWORD };
    await visitor.go(page);
    await visitor.see("password");
    // The other sessions are for other pages.
    await visitor.page.locator("#end_sessions").uncheck();
    await visitor.submit(page, { ...fields, password: WRONG });
    await visitor.see("password-wrong", 403);
    await visitor.submit(page, { ...fields, new_password: "short" });
    await visitor.see("password-weak", 400);
    const change = `/_reeve/admin/v1/users/${encodeURIComponent(userId)}/password_change`;
    await server.administer("PUT", change, { required: true });
    await visitor.go(ACCOUNT);
    await visitor.see("account-password-required");
    await visitor.go(page);
    await visitor.see("password-required");
    await visitor.page.locator("#end_sessions").uncheck();
    await visitor.submit(page, fields);
    await visitor.see("password-changed");
}

async function emails({ visitor, address }) {
    const page = `${ACCOUNT}/emails`;
    await visitor.go(page);
    await visitor.see("emails-none");
    await visitor.submit(page, { email: address, password: WRONG });
    await visitor.see("emails-wrong", 403);
    await visitor.submit(page, { email: address, password: NEW_PASSWORD });
    await visitor.see("emails-sent");
    const link = await server.mail.link(address, "email");
    await visitor.go(link);
    await visitor.see("email-link");
    await visitor.submit(link);
    await visitor.see("email-confirmed");
    await visitor.go(page);
    await visitor.see("emails");
}

async function archives({ visitor, token }) {
    const page = `${ACCOUNT}/export`;
    await visitor.go(page);
    await visitor.see("export");
    await visitor.submit(page, { password: WRONG });
    await visitor.see("export-wrong", 403);
    await visitor.submit(page, { password: NEW_PASSWORD });
    await visitor.see("export-ordered");
    await until("the archive is ready", async () => {
        const { exports } = (await server.call("GET", "/_reeve/client/v1/exports", { token })).ok;
        return exports[0].state === "ready";
    });
    await visitor.go(page);
    await visitor.see("export-ready");
}

async function identity({ visitor, userId, token }) {
    const page = `${ACCOUNT}/reset-identity`;
    await visitor.go(page);
    await visitor.see("reset-identity-none");
    await server.identify(userId, token);
    await visitor.go(page);
    await visitor.see("reset-identity");
    await visitor.submit(page, { password: WRONG });
    await visitor.see("reset-identity-wrong", 403);
    await visitor.submit(page, { password: NEW_PASSWORD });
    await visitor.see("reset-identity-allowed");
}

async function clients({ visitor, deviceId }) {
    const client = await Client.register(server, {
        ...NATIVE,
        client_name: APPLICATION,
        policy_uri: `${NATIVE.client_uri}policy`,
        tos_uri: `${NATIVE.client_uri}terms`,
    });
    // The session of the device would end, which the page says.
    await visitor.go(client.authorize(NATIVE.redirect_uris[1], deviceId));
    await visitor.see("consent");
    await visitor.go(client.authorize(NATIVE.redirect_uris[1], deviceId, { prompt: "login" }));
    await visitor.see("consent-again");
}

async function devices({ visitor }) {
    const page = `${ROOT}/device`;
    const client = await Client.register(server, { ...NATIVE, client_name: APPLICATION });
    const [first, second] = [await client.begin("TELEVISION"), await client.begin("REFRIGERATOR")];
    await visitor.go(page);
    await visitor.see("device");
    // Codes have no vowels.
    await visitor.submit(page, { user_code: "AAAA-AAAA" });
    await visitor.see("device-wrong", 400);
    await visitor.submit(page, { user_code: first.user_code });
    await visitor.see("device-consent");
    await visitor.press("button[value=allow]");
    await visitor.see("device-allowed");
    await visitor.go(second.verification_uri_complete);
    await visitor.see("device-filled");
    await visitor.submit(page);
    await visitor.press("button[value=refuse]");
    await visitor.see("device-refused");
}

async function renewal({ visitor, userId, address, token }) {
    const validity = { user_id: userId, expiration_ts: Date.now() - 1000 };
    await server.administer("POST", "/_synapse/admin/v1/account_validity/validity", validity);
    await visitor.go(ACCOUNT);
    await visitor.see("error-expired", 403);
    const mail = await server.call("POST", "/_matrix/client/unstable/account_validity/send_mail", { body: {}, token });
    assert.equal(mail.status, 200, mail.body);
    const link = await server.mail.link(address, "renew");
    await visitor.go(link);
    await visitor.see("renew");
    await visitor.submit(link);
    await visitor.see("renew-done");
}

async function sessions({ visitor, deviceId }) {
    const page = `${ACCOUNT}/sessions`;
    await visitor.go(page);
    await visitor.see("sessions");
    await visitor.press("h3 a >> nth=0");
    await visitor.see("session");
    await visitor.submit(`${page}/device%3A${encodeURIComponent(deviceId)}/end`);
    await visitor.see("session-ended");
    await visitor.go(`${ACCOUNT}/session?device_id=${encodeURIComponent(deviceId)}`);
    await visitor.see("session-missing");
}

async function recovery({ visitor, address, userId }) {
    const page = `${ROOT}/reset`;
    await visitor.go(`${ROOT}/logout`);
    await visitor.see("logout");
    await visitor.submit(`${ROOT}/logout`);
    await visitor.go(page);
    await visitor.see("reset");
    await visitor.submit(page, { email: address });
    await visitor.see("reset-sent");
    const link = await server.mail.link(address, "reset");
    await visitor.go(link);
    await visitor.see("reset-choose");
    await visitor.submit(link, { new_password: PASSWORD, again: NEW_PASSWORD });
    await visitor.see("reset-choose-wrong", 400);
    await visitor.submit(link, { new_password: PASSWORD, again: PASSWORD });
    await visitor.see("reset-done");
    await visitor.go(link);
    await visitor.see("link-ended", 404);
    await visitor.go(`${ROOT}/login`);
    await visitor.signIn(userId);
}

async function end({ visitor }) {
    await visitor.go(`${ACCOUNT}/emails`);
    await visitor.submit(`${ACCOUNT}/emails/remove`, { "password-1": PASSWORD });
    await visitor.see("emails-removed");
    const page = `${ACCOUNT}/deactivate`;
    await visitor.go(page);
    await visitor.see("deactivate");
    for (const [word, name, status] of [[WRONG, "deactivate-wrong", 403], [PASSWORD, "deactivated", 200]]) {
        await visitor.page.locator("#sure").check();
        await visitor.submit(page, { password: word });
        await visitor.see(name, status);
    }
}
