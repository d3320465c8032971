// A mail server that accepts every mail, and keeps the links to pages.

import { EventEmitter, once } from "node:events";
import { createServer } from "node:net";
import { createInterface } from "node:readline";

const PATIENCE_MS = 30_000;
const LINK = /http:\/\/[^\s/]+(\/_reeve\/pages\/(\w+)\/(\w+))/;

export class Mailbox {
    /** Starts a mail server on a free port. */
    static async start() {
        const mailbox = new Mailbox();
        mailbox.listener.listen(0, "127.0.0.1");
        await once(mailbox.listener, "listening");
        return mailbox;
    }

    constructor() {
        this.events = new EventEmitter();
        /** Links that nobody has asked for yet: the recipient, the kind of page, and the path. */
        this.links = [];
        this.sockets = new Set();
        this.listener = createServer((socket) => this.#talk(socket));
    }

    get port() {
        return this.listener.address().port;
    }

    close() {
        this.listener.close();
        for (const socket of this.sockets) socket.destroy();
    }

    /** Waits for a mail with a link to a page of a kind (`email`, `reset` or `renew`); returns the path of the page. */
    async link(to, kind) {
        const signal = AbortSignal.timeout(PATIENCE_MS);
        for (;;) {
            const place = this.links.findIndex((link) => link.to === to && link.kind === kind);
            if (place >= 0) return this.links.splice(place, 1)[0].path;
            await once(this.events, "mail", { signal }).catch(() => {
                throw new Error(`no mail with a link to a page '${kind}' came to ${to}`);
            });
        }
    }

    /** Takes mails from one connection (RFC 5321). */
    async #talk(socket) {
        this.sockets.add(socket);
        socket.on("close", () => this.sockets.delete(socket));
        // A connection that the server ends in the middle of a mail has no mail.
        socket.on("error", () => {});
        const say = (line) => socket.write(`${line}\r\n`);
        say("220 mail.test");
        let to = "";
        let lines = null;
        for await (const line of createInterface({ input: socket, crlfDelay: Infinity })) {
            if (lines === null) {
                const verb = line.slice(0, 4).toUpperCase();
                if (verb === "RCPT") to = /<(.*?)>/.exec(line)[1];
                if (verb === "DATA") lines = [];
                say({ EHLO: "250-mail.test\r\n250 8BITMIME", DATA: "354 go on", QUIT: "221 bye" }[verb] ?? "250 ok");
            } else if (line === ".") {
                this.#take(to, lines);
                lines = null;
                say("250 taken");
            } else {
                lines.push(line.startsWith(".") ? line.slice(1) : line);
            }
        }
    }

    #take(to, lines) {
        // Long lines of quoted-printable are joined again (RFC 2045, 6.7); a link has no other encoded character.
        const [, path, kind] = LINK.exec(lines.join("\n").replaceAll("=\n", "")) ?? [];
        if (path !== undefined) this.links.push({ to, kind, path });
        this.events.emit("mail");
    }
}
