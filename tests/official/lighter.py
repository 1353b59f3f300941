"""Judges the simulated Lighter by the venue's official Python library, unmodified.

Usage: lighter.py FILE, where FILE holds the first line of `parallax sim --plain`.
Needs lighter-sdk 1.1.8 and websockets 13.1. Only the URL and the keys differ from a real client;
every transaction is signed by the library's own native signer. Prints `N passed, N failed` and
exits non-zero when anything failed.
"""

import asyncio
import collections
import json
import sys
import threading
import time
import traceback

# This file has the library's name: its own folder must not be searched.
sys.path.pop(0)

import lighter
from lighter import ApiClient, Configuration, SignerClient, WsClient
from websockets.sync.client import connect

BTC = 1
PATIENCE_S = 10


class Judge:
    """Runs checks one by one and counts."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    async def check(self, name, run):
        try:
            result = run()
            if asyncio.iscoroutine(result):
                await result
            self.passed += 1
            print(f"ok      {name}", file=sys.stderr)
        except Exception:
            self.failed += 1
            print(f"FAILED  {name}\n{traceback.format_exc()}", file=sys.stderr)


def must(condition, why):
    if not condition:
        raise AssertionError(why)


async def until(ask, why):
    """Asks again until the answer is there; the venue says when by `predicted_execution_time_ms`,
    here a bound suffices."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        answer = await ask()
        if answer:
            return answer
        await asyncio.sleep(0.05)
    raise AssertionError(why)


class Followed:
    """The library's own stream client in a thread, with every state of one book it came to."""

    def __init__(self, url):
        self.states = collections.deque(maxlen=20_000)
        self.updates = 0
        self.first = threading.Event()
        self.client = WsClient(
            ws_url=url, order_book_ids=[BTC], account_ids=[], on_order_book_update=self.seen
        )
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        try:
            self.client.run()
        except Exception as error:
            print(f"stream ended: {error}", file=sys.stderr)

    def seen(self, market, book):
        self.updates += 1
        self.states.append(top(book["asks"], book["bids"], "size"))
        self.first.set()


def top(asks, bids, size):
    """The best twenty levels of both sides as numbers."""

    def levels(rows, descending):
        read = lambda row: row if isinstance(row, dict) else row.to_dict()
        rows = [(float(read(row)["price"]), float(read(row)[size])) for row in rows]
        return tuple(sorted(rows, reverse=descending)[:20])

    return levels(asks, False), levels(bids, True)


class Venue:
    """One account of the simulated venue through the library's clients."""

    def __init__(self, sim, wallet):
        self.sim = sim
        self.wallet = wallet
        self.account_index = sim["account_index"]
        self.keys = {key["index"]: key["private_key"] for key in sim["keys"]}
        self.index = sim["keys"][0]["index"]
        self.api = ApiClient(configuration=Configuration(host=sim["rest"]))
        self.orders = lighter.OrderApi(self.api)
        self.accounts = lighter.AccountApi(self.api)
        self.transactions = lighter.TransactionApi(self.api)
        self.client = SignerClient(
            url=sim["rest"],
            account_index=self.account_index,
            api_private_keys=dict(self.keys),
            chain_id=sim["chain_id"],
        )
        self.next_client_index = int(time.time()) % 1_000_000 * 1_000

    def token(self):
        token, error = self.client.create_auth_token_with_expiry(api_key_index=self.index)
        must(error is None, error)
        return token

    def client_index(self):
        self.next_client_index += 1
        return self.next_client_index

    async def touch(self):
        book = await self.orders.order_book_orders(BTC, 1)
        scaled = lambda row: int(row.price.replace(".", ""))
        return scaled(book.bids[0]), scaled(book.asks[0])

    async def position(self):
        answer = await self.accounts.account(by="index", value=str(self.account_index))
        for row in answer.accounts[0].positions:
            if row.market_id == BTC:
                return row.sign * float(row.position)
        return 0.0

    async def active(self):
        answer = await self.orders.account_active_orders(
            authorization=self.token(), account_index=self.account_index, market_id=BTC
        )
        return answer.orders


async def markets(venue):
    books = (await venue.orders.order_books()).order_books
    by_id = {row.market_id: row for row in books}
    must(by_id[0].symbol == "ETH" and by_id[BTC].symbol == "BTC", "ETH is 0, BTC is 1")
    for row in books:
        decimals = row.supported_price_decimals + row.supported_size_decimals
        must(decimals == row.supported_quote_decimals, "decimals add up to the quote's")
    details = await venue.orders.order_book_details(market_id=BTC)
    must(float(details.order_book_details[0].mark_price) > 0, "a mark price")
    stats = await venue.orders.exchange_stats()
    must(stats.total == len(books), "statistics of every market")


async def small_reads(venue):
    must((await lighter.RootApi(venue.api).status()).status == 200, "status")
    must((await lighter.RootApi(venue.api).info()).contract_address.startswith("0x"), "info")
    rates = await lighter.FundingApi(venue.api).funding_rates()
    must(len(rates.funding_rates) >= 2, "funding rates")
    now_s = int(time.time())
    candles = lighter.CandlestickApi(venue.api)
    rows = await candles.fundings(BTC, "1h", now_s - 7200, now_s, 2)
    must(rows.fundings[0].direction in ("long", "short"), "fundings")
    must((await candles.candles(BTC, "1m", now_s - 60, now_s, 1)).code == 200, "candles")
    info = lighter.InfoApi(venue.api)
    must((await info.withdrawal_delay()).seconds > 0, "withdrawal delay")
    must((await info.system_config()).code == 200, "system config")
    must((await lighter.BlockApi(venue.api).current_height()).height > 0, "height")
    must((await venue.orders.recent_trades(BTC, 10)).code == 200, "recent trades")


async def book_followed(venue):
    """REST books are states the library's stream client goes through. The stream tells books in
    batches, so a REST book read between two of them may be none of its states: one read at rest
    must be there, five times over."""
    followed = Followed(venue.sim["ws"])
    must(followed.first.wait(PATIENCE_S), "no snapshot")
    for _ in range(5):
        read = []

        async def met():
            book = await venue.orders.order_book_orders(BTC, 100)
            read.append(top(book.asks, book.bids, "remaining_base_amount"))
            return any(rest in followed.states for rest in read)

        await until(met, "none of the REST books is a state of the stream's")
        await asyncio.sleep(0.4)
    must(followed.updates > 5, f"only {followed.updates} updates")


def book_chained(venue):
    """begin_nonce of every update is the nonce before it."""
    with connect(venue.sim["ws"]) as stream:
        must(json.loads(stream.recv())["type"] == "connected", "greeting")
        stream.send(json.dumps({"type": "subscribe", "channel": f"order_book/{BTC}"}))
        first = json.loads(stream.recv(PATIENCE_S))
        must(first["type"] == "subscribed/order_book", first["type"])
        must(first["order_book"]["begin_nonce"] == 0, "a snapshot begins at 0")
        nonce = first["order_book"]["nonce"]
        for _ in range(10):
            book = json.loads(stream.recv(PATIENCE_S))["order_book"]
            must(book["begin_nonce"] == nonce, "a gap")
            nonce = book["nonce"]
        stream.send(json.dumps({"type": "subscribe", "channel": f"order_book/{BTC}"}))
        while "error" not in (answer := json.loads(stream.recv(PATIENCE_S))):
            pass
        must(answer["error"]["code"] == 30003, "a second subscription")


async def account(venue):
    by_index = await venue.accounts.account(by="index", value=str(venue.account_index))
    row = by_index.accounts[0]
    must(row.index == venue.account_index and float(row.collateral) > 0, "the account")
    again = await venue.accounts.accounts_by_l1_address(l1_address=row.l1_address)
    must(again.sub_accounts[0].index == venue.account_index, "by its owner")
    limits = await venue.accounts.account_limits(
        account_index=venue.account_index, authorization=venue.token()
    )
    must(limits.user_tier in ("standard", "premium"), limits.user_tier)


async def api_keys(venue):
    must(venue.client.check_client() is None, "the native signer's own check")
    answer = await venue.accounts.apikeys(account_index=venue.account_index, api_key_index=255)
    theirs = {key.api_key_index: key.public_key for key in answer.api_keys}
    ours = {key["index"]: key["public_key"] for key in venue.sim["keys"]}
    must(theirs == ours, "public keys")


async def filled(venue):
    """Buys at market and closes reduce-only, confirmed by the position and by the transaction."""
    before = await venue.position()
    _, ask = await venue.touch()
    client_index = venue.client_index()
    order, answer, error = await venue.client.create_market_order(
        market_index=BTC,
        client_order_index=client_index,
        base_amount=100,
        avg_execution_price=ask * 101 // 100,
        is_ask=False,
    )
    must(error is None and answer.code == 200, error)
    must(order.base_amount == 100, "our own order")

    async def bought():
        return abs(await venue.position() - before - 0.001) < 1e-9

    await until(bought, "the order did not fill")
    shown = await venue.transactions.tx(by="hash", value=answer.tx_hash)
    must(shown.hash == answer.tx_hash and shown.status == 2, "the transaction")
    must(json.loads(shown.event_info)["ae"] == "", shown.event_info)
    fills = await venue.orders.trades(
        sort_by="timestamp", limit=10, authorization=venue.token(),
        account_index=venue.account_index, market_id=BTC,
    )
    must(any(fill.bid_client_id == client_index for fill in fills.trades), "its trade")
    bid, _ = await venue.touch()
    _, answer, error = await venue.client.create_order(
        market_index=BTC,
        client_order_index=venue.client_index(),
        base_amount=100,
        price=bid * 99 // 100,
        is_ask=True,
        order_type=SignerClient.ORDER_TYPE_LIMIT,
        time_in_force=SignerClient.ORDER_TIME_IN_FORCE_IMMEDIATE_OR_CANCEL,
        reduce_only=True,
        order_expiry=SignerClient.DEFAULT_IOC_EXPIRY,
    )
    must(error is None, error)

    async def closed():
        return abs(await venue.position() - before) < 1e-9

    await until(closed, "the position did not close")


async def rested_and_cancelled(venue):
    """A post-only order, seen on the stream and in REST, then cancelled, seen on both."""
    with connect(venue.sim["ws"]) as stream:
        stream.recv()
        channel = f"account_all_orders/{venue.account_index}"
        subscribe = {"type": "subscribe", "channel": channel, "auth": venue.token()}
        stream.send(json.dumps(subscribe))
        must(json.loads(stream.recv())["type"] == "subscribed/account_all_orders", "subscribed")
        bid, _ = await venue.touch()
        client_index = venue.client_index()
        _, answer, error = await venue.client.create_order(
            market_index=BTC,
            client_order_index=client_index,
            base_amount=100,
            price=bid * 98 // 100,
            is_ask=False,
            order_type=SignerClient.ORDER_TYPE_LIMIT,
            time_in_force=SignerClient.ORDER_TIME_IN_FORCE_POST_ONLY,
        )
        must(error is None, error)

        def seen(status):
            deadline = time.monotonic() + PATIENCE_S
            while time.monotonic() < deadline:
                message = json.loads(stream.recv(PATIENCE_S))
                for row in message.get("orders", {}).get(str(BTC), []):
                    if row["client_order_index"] == client_index:
                        must(row["status"] == status, row["status"])
                        return row
            raise AssertionError(f"never {status}")

        row = await asyncio.to_thread(seen, "open")
        listed = [order.order_index for order in await venue.active()]
        must(row["order_index"] in listed, "listed as active")
        _, answer, error = await venue.client.cancel_order(
            market_index=BTC, order_index=row["order_index"]
        )
        must(error is None, error)
        row = await asyncio.to_thread(seen, "canceled")
        must(row["remaining_base_amount"] == "0.00000", "nothing remains")
        listed = [order.order_index for order in await venue.active()]
        must(row["order_index"] not in listed, "not listed any more")
        past = await venue.orders.account_inactive_orders(
            authorization=venue.token(), account_index=venue.account_index, limit=10
        )
        must(any(o.order_index == row["order_index"] for o in past.orders), "listed as past")


async def withdrawn(venue):
    """Both kinds of withdrawal, signed by the library, and the lists they stand in."""
    index, token = venue.account_index, venue.token()
    usdc = SignerClient.ASSET_ID_USDC
    rows = (await venue.orders.asset_details()).asset_details
    must([row.symbol for row in rows if row.asset_id == usdc] == ["USDC"], "USDC is 3")
    _, answer, error = await venue.client.withdraw(usdc, SignerClient.ROUTE_PERP, 12.5)
    must(error is None and answer.code == 200, error)
    shown = await venue.transactions.tx(by="hash", value=answer.tx_hash)
    must(json.loads(shown.event_info)["ae"] == "", shown.event_info)
    bridge = lighter.BridgeApi(venue.api)
    terms = await bridge.fastwithdraw_info(account_index=index, authorization=token)
    fee = await lighter.InfoApi(venue.api).transfer_fee_info(
        account_index=index, to_account_index=terms.to_account_index, authorization=token
    )
    row = (await venue.accounts.account(by="index", value=str(index))).accounts[0]
    key, nonce = venue.client.nonce_manager.next_nonce()
    _, info, tx_hash, error = venue.client.sign_transfer(
        venue.wallet, terms.to_account_index, usdc, 0, 0, 20_000_000, fee.transfer_fee_usdc,
        row.l1_address[2:].lower() + "00" * 12, nonce=nonce, api_key_index=key,
    )
    must(error is None, error)
    answer = await bridge.fastwithdraw(
        tx_info=info, to_address=row.l1_address, authorization=token
    )
    must(answer.code == 200, answer)
    rows = (await venue.transactions.withdraw_history(token, index)).withdraws
    told = [(row.type, float(row.amount), row.status) for row in rows]
    must(told == [("fast", 20.0, "pending"), ("secure", 12.5, "pending")], told)
    rows = (await venue.transactions.transfer_history(index, token)).transfers
    must([(row.type, row.tx_hash) for row in rows] == [("L2TransferOutflow", tx_hash)], rows)
    must(float(rows[0].fee) * 1e6 == fee.transfer_fee_usdc, rows[0].fee)
    owner = row.l1_address
    rows = await venue.transactions.deposit_history(token, index, owner)
    must(rows.deposits == [], "no deposits")


async def cancelled_all(venue):
    bid, _ = await venue.touch()
    for down in (97, 98):
        _, _, error = await venue.client.create_order(
            market_index=BTC,
            client_order_index=venue.client_index(),
            base_amount=100,
            price=bid * down // 100,
            is_ask=False,
            order_type=SignerClient.ORDER_TYPE_LIMIT,
            time_in_force=SignerClient.ORDER_TIME_IN_FORCE_POST_ONLY,
        )
        must(error is None, error)

    async def both():
        return len(await venue.active()) == 2

    await until(both, "two orders rest")
    _, _, error = await venue.client.cancel_all_orders(
        time_in_force=SignerClient.CANCEL_ALL_TIF_IMMEDIATE, timestamp_ms=0
    )
    must(error is None, error)

    async def none():
        return not await venue.active()

    await until(none, "none rests")


async def refused(venue, code, nonce_off=0, keys=None, chain_id=None, **changes):
    """Sends one order that must come back with `code` and leave the nonce alone."""
    client = venue.client
    if keys is not None or chain_id is not None:
        client = SignerClient(
            url=venue.sim["rest"],
            account_index=venue.account_index,
            api_private_keys=keys or {venue.index: venue.keys[venue.index]},
            chain_id=chain_id or venue.sim["chain_id"],
        )
    ask = lambda: venue.transactions.next_nonce(
        account_index=venue.account_index, api_key_index=venue.index
    )
    nonce = (await ask()).nonce
    _, best = await venue.touch()
    order = dict(
        market_index=BTC,
        client_order_index=venue.client_index(),
        base_amount=100,
        price=best,
        is_ask=False,
        order_type=SignerClient.ORDER_TYPE_LIMIT,
        time_in_force=SignerClient.ORDER_TIME_IN_FORCE_IMMEDIATE_OR_CANCEL,
        order_expiry=SignerClient.DEFAULT_IOC_EXPIRY,
    )
    order.update(changes)
    if "price_percent" in order:
        order["price"] = best * order.pop("price_percent") // 100
    _, answer, error = await client.create_order(
        **order, nonce=nonce + nonce_off, api_key_index=venue.index
    )
    if client is not venue.client:
        await client.close()
        # The native signer keeps one key for each slot in the whole process: put ours back.
        venue.client.create_client(venue.index)
    must(answer is None and str(code) in str(error), f"{error}")
    must((await ask()).nonce == nonce, "the nonce moved")


async def bad_tokens(venue):
    for token, status in (("", 400), ("1:2:3:00", 401), (venue.token()[:-1] + "x", 401)):
        try:
            await venue.orders.account_active_orders(
                authorization=token, account_index=venue.account_index
            )
        except lighter.exceptions.ApiException as error:
            must(error.status == status, f"{error.status} for {token!r}")
        else:
            raise AssertionError(f"{token!r} was taken")


async def sent_over_the_stream(venue):
    """One transaction and one batch by `jsonapi`, signed by the library, and one refusal."""
    fetched = await venue.transactions.next_nonce(
        account_index=venue.account_index, api_key_index=venue.index
    )
    nonce = fetched.nonce

    def sign(nonce):
        kind, info, tx_hash, error = venue.client.sign_cancel_all_orders(
            SignerClient.CANCEL_ALL_TIF_IMMEDIATE, 0, nonce=nonce, api_key_index=venue.index
        )
        must(error is None, error)
        return kind, info, tx_hash

    with connect(venue.sim["ws"]) as stream:
        stream.recv()

        def ask(kind, data):
            stream.send(json.dumps({"type": kind, "data": data}))
            return json.loads(stream.recv(PATIENCE_S))

        kind, info, tx_hash = sign(nonce)
        data = {"id": "a", "tx_type": kind, "tx_info": json.loads(info)}
        answer = ask("jsonapi/sendtx", data)
        must(answer["code"] == 200 and answer["tx_hash"] == tx_hash, answer)
        must(answer["id"] == "a" and answer["type"] == "jsonapi/sendtx", answer)
        answer = ask("jsonapi/sendtx", data)
        must(answer == {"error": {"code": 21104, "message": "invalid nonce"}, "id": "a"}, answer)
        signed = [sign(nonce + 1), sign(nonce + 2)]
        answer = ask("jsonapi/sendtxbatch", {
            "id": "b",
            "tx_types": json.dumps([kind for kind, _, _ in signed]),
            "tx_infos": json.dumps([info for _, info, _ in signed]),
        })
        must(answer["tx_hash"] == [tx_hash for _, _, tx_hash in signed], answer)


async def judge_all(sim, wallet):
    judge = Judge()
    venue = Venue(sim, wallet)
    other = sim["keys"][1]["private_key"]
    checks = [
        ("markets", lambda: markets(venue)),
        ("small reads", lambda: small_reads(venue)),
        ("account", lambda: account(venue)),
        ("api keys", lambda: api_keys(venue)),
        ("book followed", lambda: book_followed(venue)),
        ("book chained", lambda: book_chained(venue)),
        ("bad tokens", lambda: bad_tokens(venue)),
        ("order filled", lambda: filled(venue)),
        ("order rested and cancelled", lambda: rested_and_cancelled(venue)),
        ("all cancelled", lambda: cancelled_all(venue)),
        ("wrong nonce", lambda: refused(venue, 21104, nonce_off=1)),
        ("spent nonce", lambda: refused(venue, 21104, nonce_off=-1)),
        ("wrong key", lambda: refused(venue, 21120, keys={venue.index: other})),
        ("wrong chain", lambda: refused(venue, 21120, chain_id=sim["chain_id"] + 1)),
        ("too small", lambda: refused(venue, 21706, base_amount=1)),
        ("unknown market", lambda: refused(venue, 21602, market_index=77)),
        ("accidental price", lambda: refused(venue, 21733, price_percent=120)),
        ("reduce-only when flat", lambda: refused(venue, 21732, reduce_only=True)),
        ("withdrawn", lambda: withdrawn(venue)),
        ("sent over the stream", lambda: sent_over_the_stream(venue)),
    ]
    for name, run in checks:
        await judge.check(name, run)
    await venue.client.close()
    await venue.api.close()
    return judge


def main():
    with open(sys.argv[1]) as file:
        told = json.load(file)
    judge = asyncio.run(judge_all(told["lighter"], told["l1_private_key"]))
    print(f"{judge.passed} passed, {judge.failed} failed")
    sys.exit(1 if judge.failed else 0)


if __name__ == "__main__":
    main()
