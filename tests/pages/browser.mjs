// Chromium, a visitor in it, and what must hold of every page that the visitor sees.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";

import axe from "axe-core";
import { chromium } from "playwright-core";

import { PASSWORD } from "./server.mjs";

const PATIENCE_MS = 30_000;
const SHOTS = process.env.REEVE_PAGES_SHOTS;
/** How bad a violation is that fails a test, in the words of axe. */
const BAD = ["serious", "critical"];

if (SHOTS) mkdirSync(SHOTS, { recursive: true });

/** Starts Chromium. It asks for nothing by itself, so that it works without a network. */
export function launch() {
    return chromium.launch({
        executablePath: process.env.REEVE_PAGES_CHROMIUM ?? "/usr/bin/chromium",
        args: [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ],
    });
}

/** Somebody with a browser of their own: no other visitor has its cookies. */
export class Visitor {
    /** Opens a browser in a language (`en` or `de`), with a scheme of colours (`light` or `dark`), and of a width in pixels. */
    static async open(browser, url, { language = "en", scheme = "light", width = 1280, javaScriptEnabled = true } = {}) {
        const context = await browser.newContext({
            locale: language === "de" ? "de-DE" : "en-GB",
            colorScheme: scheme,
            viewport: { width, height: 800 },
            javaScriptEnabled,
        });
        context.setDefaultTimeout(PATIENCE_MS);
        return new Visitor(context, await context.newPage(), url, { language, scheme, width });
    }

    constructor(context, page, url, look) {
        this.context = context;
        this.page = page;
        this.url = url;
        this.look = look;
        /** The status of the page that is shown. */
        this.status = 0;
        /** The documents that were loaded, each as its status and URL. */
        this.documents = new Set();
        /** The errors in the console since somebody asked for them. */
        this.messages = [];
        page.on("response", (response) => {
            if (!response.request().isNavigationRequest()) return;
            this.status = response.status();
            this.documents.add(`${response.status()} ${response.url()}`);
        });
        page.on("console", (message) => {
            if (message.type() === "error") this.messages.push(message);
        });
        page.on("pageerror", (error) => this.messages.push(error));
    }

    /** Opens a page of the server by its path, or any page by its URL. */
    async go(page) {
        await this.page.goto(new URL(page, this.url).href);
    }

    /** Presses a button or follows a link, and waits for the page to which it leads. */
    async press(selector) {
        await Promise.all([this.page.waitForEvent("load"), this.page.locator(selector).click()]);
    }

    /** Fills fields in, by their ids, and presses the button of the form with this action. */
    async submit(action, fields = {}) {
        for (const [id, value] of Object.entries(fields)) await this.page.locator(`[id="${id}"]`).fill(value);
        await this.press(`form[action^="${action}?"] button`);
    }

    /** Signs in on the page that is shown, and continues where it leads. */
    async signIn(name, password = PASSWORD) {
        await this.submit("/_reeve/pages/login", { username: name, password });
    }

    /** Returns what the page says. */
    text() {
        return this.page.locator("main").innerText();
    }

    /** Returns the errors in the console since the last call, but for the status of a page that is shown. */
    complaints() {
        const isStatus = (message) => {
            const status = /^Failed to load resource: the server responded with a status of (\d+)/.exec(message.text?.() ?? "");
            return status !== null && this.documents.has(`${status[1]} ${message.location().url}`);
        };
        const messages = this.messages.filter((message) => !isStatus(message));
        this.messages = [];
        return messages.map((message) => `the console says: ${message.text?.() ?? message}`);
    }

    /** Returns what is wrong with the page that is shown. */
    async faults() {
        const { language, overflow } = await this.page.evaluate(() => {
            const root = document.documentElement;
            return { language: root.lang, overflow: root.scrollWidth - root.clientWidth };
        });
        await this.page.evaluate(axe.source);
        // The policy of content lets axe load nothing, and there is nothing to load.
        const options = { preload: false, resultTypes: ["violations"] };
        const { violations } = await this.page.evaluate((given) => window.axe.run(document, given), options);
        const faults = violations
            .filter(({ impact }) => BAD.includes(impact))
            .map(({ id, impact, help, nodes }) => `${id} (${impact}): ${help}: ${nodes.map(({ html }) => html).join(" ")}`);
        if (language !== this.look.language) faults.push(`it is in the language '${language}'`);
        if (overflow > 0) faults.push(`it is ${overflow} pixels wider than the window`);
        return [...faults, ...this.complaints()];
    }

    /** Checks the page that is shown, and takes a picture of it if pictures are wanted. */
    async see(name, status = 200) {
        const { language, scheme, width } = this.look;
        if (SHOTS) {
            const path = join(SHOTS, `${name}.${language}.${scheme}.${width}.png`);
            // Nothing is added to the page, such as a style that hides the caret: the policy of content would refuse it.
            await this.page.screenshot({ path, fullPage: true, caret: "initial" });
        }
        assert.equal(this.status, status, `${name} at ${this.page.url()}: ${await this.text()}`);
        assert.deepEqual(await this.faults(), [], `${name} at ${this.page.url()}`);
    }

    async close() {
        await this.context.close();
    }
}
