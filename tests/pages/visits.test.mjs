// What people do on the pages, and what browsers make of it.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";

import { launch, Visitor } from "./browser.mjs";
import { PASSWORD, Server, until } from "./server.mjs";

const ACCOUNT = "/_reeve/pages/account";
const LOGOUT = "/_reeve/pages/logout";

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

test("signing in, a change and signing out need no JavaScript", async () => {
    const userId = await server.create("grace");
    const visitor = await Visitor.open(browser, server.url, { javaScriptEnabled: false });
    await visitor.go("data:text/html,<title>off</title><script>document.title = 'on'</script>");
    assert.equal(await visitor.page.title(), "off");

    await visitor.go(ACCOUNT);
    await visitor.signIn("grace");
    assert.match(await visitor.text(), new RegExp(userId));
    await visitor.go(`${ACCOUNT}/profile`);
    await visitor.submit(`${ACCOUNT}/profile`, { displayname: "Grace Hopper" });
    assert.match(await visitor.text(), /Your profile was saved/);
    await visitor.go(ACCOUNT);
    assert.match(await visitor.text(), /Hello, Grace Hopper/);
    await visitor.go(LOGOUT);
    await visitor.submit(LOGOUT);
    await visitor.go(ACCOUNT);
    assert.equal(new URL(visitor.page.url()).pathname, "/_reeve/pages/login");
    assert.deepEqual(visitor.complaints(), []);
    await visitor.close();
});

test("an archive is downloaded", async () => {
    const { access_token: token } = await server.login(await server.create("mary"), "A telephone");
    const visitor = await Visitor.open(browser, server.url);
    const page = `${ACCOUNT}/export`;
    await visitor.go(page);
    await visitor.signIn("mary");
    await visitor.submit(page, { password: PASSWORD });
    await until("the archive is ready", async () => {
        const { exports } = (await server.call("GET", "/_reeve/client/v1/exports", { token })).ok;
        return exports[0].state === "ready";
    });
    await visitor.go(page);
    const form = visitor.page.locator('form[action*="/download?"]');
    await form.locator("input[type=password]").fill(PASSWORD);
    const [download] = await Promise.all([visitor.page.waitForEvent("download"), form.locator("button").click()]);
    assert.equal(await download.failure(), null);
    const archive = await readFile(await download.path());
    assert.equal(archive.subarray(0, 2).toString(), "PK");
    assert.deepEqual(visitor.complaints(), []);
    await visitor.close();
});
