"""A mail server for the tests: takes every mail and writes it down, with its envelope, as one file.

Each file is JSON: {"from", "to", "login", "tls", "content"}. Modes: plain, starttls (required), tls (from the first byte).
"""

import argparse
import asyncio
import base64
import json
import os
import ssl
import uuid

from aiosmtpd.smtp import AuthResult, SMTP


class Keeper:
    def __init__(self, folder, refuse):
        self.folder, self.refuse = folder, refuse

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.refuse and address.endswith("@" + self.refuse):
            return "550 5.1.1 No such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "login": session.auth_data,
            "hello": session.host_name,
            "tls": session.ssl is not None or server.wrapped,
            "content": base64.b64encode(envelope.content).decode(),
        }
        # Under its name only when it is all there.
        path = os.path.join(self.folder, uuid.uuid4().hex)
        with open(path + ".part", "w") as file:
            json.dump(mail, file)
        os.rename(path + ".part", path + ".json")
        return "250 OK"


class Server(SMTP):
    wrapped = False
    greeting = "at-once"

    async def _handle_client(self):
        if self.greeting == "never":
            await asyncio.Event().wait()
        elif self.greeting != "at-once":
            await asyncio.sleep(float(self.greeting))
        await super()._handle_client()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--mode", choices=["plain", "starttls", "tls"], default="plain")
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    parser.add_argument("--account", help="user:password; without logging in nothing is taken")
    parser.add_argument("--mechanism", choices=["PLAIN", "LOGIN"], help="the only one offered")
    parser.add_argument("--refuse", help="domain whose recipients are refused")
    parser.add_argument("--greeting", default="at-once", help="at-once, never, or seconds to wait")
    given = parser.parse_args()

    context = None
    if given.mode != "plain":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(given.certificate, given.key)

    def authenticate(server, session, envelope, mechanism, data):
        login = f"{data.login.decode()}:{data.password.decode()}"
        if login != given.account:
            return AuthResult(success=False, handled=False)
        return AuthResult(success=True, auth_data=f"{mechanism} {data.login.decode()}")

    def session():
        server = Server(
            Keeper(given.folder, given.refuse),
            hostname="mail.example.com",
            enable_SMTPUTF8=True,
            require_starttls=given.mode == "starttls",
            tls_context=context if given.mode == "starttls" else None,
            authenticator=authenticate if given.account else None,
            auth_required=given.account is not None,
            auth_require_tls=False,
            auth_exclude_mechanism=[m for m in ("PLAIN", "LOGIN") if given.mechanism not in (None, m)],
        )
        server.wrapped = given.mode == "tls"
        server.greeting = given.greeting
        return server

    async def serve():
        loop = asyncio.get_running_loop()
        wrapping = context if given.mode == "tls" else None
        listener = await loop.create_server(session, "127.0.0.1", given.port, ssl=wrapping)
        print("ready", flush=True)
        async with listener:
            await listener.serve_forever()

    asyncio.run(serve())


main()
