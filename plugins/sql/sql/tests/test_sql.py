"""The Lua module, name by name, on a database in memory."""

from typing import Any

import pytest

from wippy.errors import ALREADY_EXISTS, INVALID, NOT_FOUND, PERMISSION_DENIED, Error
from wippy.registry.entry import Entry
from wippy.testing import app_of, function, host, process, run_lua
from wippy_plugin_sql import SqlDatabase

DB = Entry("app:db", "db.sql.sqlite", data={"file": ":memory:"})
OPEN = "local sql = require('sql') local db = assert(sql.get('app:db')) "
TABLE = OPEN + "assert(db:execute('CREATE TABLE t (id INTEGER PRIMARY KEY, v, name TEXT UNIQUE)')) "


async def run(body: str, *args: Any, opening: str = TABLE) -> Any:
    return await run_lua(opening + body, *args, modules=["sql"], entries=[DB, host("app:host")])


async def fails(body: str, opening: str = TABLE) -> Error:
    with pytest.raises(Error) as caught:
        await run(body, opening=opening)
    return caught.value


async def test_constants() -> None:
    assert await run("return {sql.type, sql.isolation}", opening="local sql = require('sql') ") == [
        {"POSTGRES": "postgres", "MYSQL": "mysql", "SQLITE": "sqlite", "UNKNOWN": "unknown"},
        {
            "DEFAULT": "default",
            "READ_UNCOMMITTED": "read_uncommitted",
            "READ_COMMITTED": "read_committed",
            "WRITE_COMMITTED": "write_committed",
            "REPEATABLE_READ": "repeatable_read",
            "SERIALIZABLE": "serializable",
        },
    ]


@pytest.mark.parametrize(
    ("argument", "kind"),
    [("''", INVALID), ("nil", INVALID), ("42", INVALID), ("'app:no'", NOT_FOUND), ("'app:host'", INVALID)],
)
async def test_get_of_what_is_no_database(argument: str, kind: str) -> None:
    error = await fails(f"return sql.get({argument})", opening="local sql = require('sql') ")
    assert (error.kind, bool(error.retryable)) == (kind, False)


async def test_get_asks_for_permission() -> None:
    deny = """
    local kernel = ...
    function kernel.permit(action, resource)
      return nil, kernel.new_error(action .. " " .. resource, "PermissionDenied", false)
    end
    """
    main = function("test:main", "return function() return require('sql').get('app:db') end", ["sql"])
    async with app_of(DB, main) as app:
        app.node.extend("deny", deny)
        with pytest.raises(Error) as caught:
            await app.call("test:main")
    assert (caught.value.kind, caught.value.message) == (PERMISSION_DENIED, "db.get app:db")


async def test_handles_are_userdata_and_say_what_they_are() -> None:
    seen = await run(
        """
        local tx = db:begin()
        local out = {}
        for _, v in ipairs({db, tx, tx:prepare("SELECT 1"), sql.NULL, sql.as.int(1)}) do
          out[#out + 1] = type(v) .. " " .. tostring(v)
        end
        return out
        """
    )
    assert seen == [
        "userdata sql.DB{}", "userdata sql.Transaction{}", "userdata sql.Statement{}", "userdata NULL", "userdata 1",
    ]  # fmt: skip


async def test_the_module_is_frozen() -> None:
    assert "frozen" in (await fails("sql.type.SQLITE = 'x'")).message


async def test_type_and_db_type() -> None:
    assert await run("local tx = db:begin() return {db:type(), tx:db_type()}") == ["sqlite", "sqlite"]


async def test_execute_and_query() -> None:
    assert await run(
        """
        local one = assert(db:execute("INSERT INTO t (v, name) VALUES (?, ?)", {1.5, "a"}))
        local two = assert(db:execute("INSERT INTO t (v, name) VALUES ($1, $2)", true, "b"))
        return {one, two, assert(db:query("SELECT * FROM t ORDER BY id"))}
        """
    ) == [
        {"last_insert_id": 1, "rows_affected": 1},
        {"last_insert_id": 2, "rows_affected": 1},
        [{"id": 1, "v": 1.5, "name": "a"}, {"id": 2, "v": 1, "name": "b"}],
    ]


async def test_no_rows_are_an_empty_array() -> None:
    assert await run("return assert(db:query('SELECT * FROM t'))") == []


async def test_null_is_absent() -> None:
    assert await run(
        "assert(db:execute('INSERT INTO t VALUES (1, ?, ?)', {sql.NULL, sql.as.null()})) "
        "local row = db:query('SELECT * FROM t')[1] return {row, row.v == nil, (next(row))}"
    ) == [{"id": 1}, True, "id"]


@pytest.mark.parametrize("params", ["{nil, 'x'}", "nil, 'x'", "{sql.NULL, 'x'}"])
async def test_nil_is_null_too(params: str) -> None:
    assert await run(f"return assert(db:query('SELECT ? IS NULL AS a, ? AS b', {params}))") == [{"a": 1, "b": "x"}]


@pytest.mark.parametrize("params", ["", ", nil", ", {}"])
async def test_no_parameters(params: str) -> None:
    assert await run(f"return assert(db:query('SELECT 1 AS a'{params}))") == [{"a": 1}]


@pytest.mark.parametrize(
    ("value", "kind", "back"),
    [
        ("42", "integer", 42),
        ("10 / 2", "integer", 5),
        ("9223372036854775807", "integer", 2**63 - 1),
        ("math.mininteger", "integer", -(2**63)),
        ("0.5", "real", 0.5),
        ("1e300", "real", 1e300),
        ("'text'", "text", "text"),
        ("'\\255'", "blob", b"\xff"),
        ("true", "integer", 1),
        ("sql.as.int(3.9)", "integer", 3),
        ("sql.as.int('-7')", "integer", -7),
        ("sql.as.float(3)", "real", 3),
        ("sql.as.float('2.5')", "real", 2.5),
        ("sql.as.text(42)", "text", "42"),
        ("sql.as.text(2.0)", "text", "2"),
        ("sql.as.binary('text')", "blob", "text"),
        ("sql.as.null()", "null", None),
        ("sql.as.int(nil)", "null", None),
        ("sql.NULL", "null", None),
    ],
)
async def test_bound_values(value: str, kind: str, back: Any) -> None:
    (row,) = await run(f"return assert(db:query('SELECT typeof($1) AS kind, $1 AS back', {value}))")
    assert (row["kind"], row.get("back"), type(row.get("back"))) == (kind, back, type(back))


@pytest.mark.parametrize("call", ["int('x')", "int({})", "float('x')", "text({})", "binary(1)"])
async def test_coercions_refuse_what_they_cannot_do(call: str) -> None:
    assert "bad argument #1" in (await fails(f"sql.as.{call}")).message


@pytest.mark.parametrize(
    ("params", "part"),
    [
        ("{name = 'x'}", "array"),
        ("{{1}}", "parameter 1 is a table"),
        ("1, {}", "parameter 2 is a table"),
        ("print", "parameter 1 is a function"),
        ("db", "parameter 1 is a userdata"),
        ("1, 2, 3", "app:db"),
    ],
)
async def test_parameters_that_cannot_be_bound(params: str, part: str) -> None:
    for method in ("query", "execute"):
        error = await fails(f"return db:{method}('SELECT ?', {params})")
        assert (error.kind, error.retryable) == (INVALID, False)
        assert part in error.message


@pytest.mark.parametrize("text", ["nil", "''", "'  '", "42", "{}", "'SELECT \\'\\255\\''", "'SELEC'"])
async def test_sql_that_is_none(text: str) -> None:
    for call in ("db:query", "db:execute", "db:prepare"):
        error = await fails(f"return {call}({text})")
        assert (error.kind, error.retryable) == (INVALID, False)


async def test_errors_carry_their_kind() -> None:
    error = await fails(
        "local insert = [[INSERT INTO t (name) VALUES ('a')]] db:execute(insert) return db:execute(insert)"
    )
    assert (error.kind, error.retryable, error.details) == (ALREADY_EXISTS, False, {"code": "SQLITE_CONSTRAINT_UNIQUE"})


async def test_prepared_statements() -> None:
    assert await run(
        """
        local insert = assert(db:prepare("INSERT INTO t (name) VALUES (?)"))
        for i = 1, 40 do assert(insert:execute({"row " .. i}).rows_affected == 1) end
        local select = assert(db:prepare("SELECT id FROM t WHERE id <= ?"))
        local counts = {#select:query({3}), #select:query(40), #select:query(0)}
        assert(insert:close() and insert:close())
        local _, err = insert:execute("x")
        local _, query_err = insert:query("x")
        return {counts, err:kind(), query_err:kind()}
        """
    ) == [[3, 40, 0], "Invalid", "Invalid"]


async def test_transactions() -> None:
    assert await run(
        """
        local tx = assert(db:begin({isolation = sql.isolation.SERIALIZABLE}))
        assert(tx:execute("INSERT INTO t (name) VALUES (?)", {"kept"}))
        assert(tx:savepoint("sp1"))
        assert(tx:execute("INSERT INTO t (name) VALUES (?)", "undone"))
        assert(#tx:query("SELECT * FROM t") == 2)
        assert(tx:rollback_to("sp1") and tx:release("sp1") and tx:commit())
        local other = assert(db:begin())
        assert(other:execute("DELETE FROM t"))
        assert(other:rollback())
        return db:query("SELECT name FROM t")
        """
    ) == [{"name": "kept"}]


@pytest.mark.parametrize(
    "call",
    ["query('SELECT 1')", "execute('SELECT 1')", "prepare('SELECT 1')", "savepoint('a')", "rollback_to('a')", "release('a')",
     "commit()", "rollback()"],
)  # fmt: skip
@pytest.mark.parametrize("end", ["commit", "rollback"])
async def test_an_ended_transaction_is_not_active(end: str, call: str) -> None:
    error = await fails(f"local tx = db:begin() assert(tx:{end}()) return tx:{call}")
    assert (error.kind, error.retryable) == (INVALID, False)
    assert "not active" in error.message


@pytest.mark.parametrize("name", ["''", "'a b'", "'a\"'", "nil", "1"])
async def test_savepoint_names(name: str) -> None:
    for method in ("savepoint", "rollback_to", "release"):
        error = await fails(f"local tx = db:begin() return tx:{method}({name})")
        assert (error.kind, error.retryable) == (INVALID, False)


async def test_an_unknown_savepoint_is_invalid() -> None:
    assert (await fails("local tx = db:begin() return tx:rollback_to('nowhere')")).kind == INVALID


@pytest.mark.parametrize("options", ["42", "{isolation = 'wild'}", "{isolation = 1}", "{read_only = 1}", "db"])
async def test_begin_options(options: str) -> None:
    assert (await fails(f"return db:begin({options})")).kind == INVALID


async def test_read_only_transactions() -> None:
    error = await fails(
        "local tx = db:begin({read_only = true}) tx:query('SELECT 1') return tx:execute('DELETE FROM t')"
    )
    assert (error.kind, error.message) == (INVALID, "app:db: the transaction is read-only")


async def test_release() -> None:
    assert (
        await run(
            """
        assert(db:release() and db:release())
        local kinds = {}
        for _, call in ipairs({"type", "query", "execute", "prepare", "begin", "stats"}) do
          local value, err = db[call](db, "SELECT 1")
          assert(value == nil)
          kinds[#kinds + 1] = err:kind()
        end
        assert(sql.get("app:db"):type())
        return kinds
        """
        )
        == ["Invalid"] * 6
    )


async def test_stats() -> None:
    stats = await run("local tx = db:begin() return db:stats()")
    assert stats == {
        "max_open_connections": 1,
        "open_connections": 1,
        "in_use": 1,
        "idle": 0,
        "wait_count": 0,
        "wait_duration": 0,
        "max_idle_closed": 0,
        "max_idle_time_closed": 0,
        "max_lifetime_closed": 0,
    }


@pytest.mark.parametrize("call", ["db.query('x', 'SELECT 1')", "db.begin({})", "db.release(nil)", "db.type(sql.NULL)"])
async def test_methods_check_their_receiver(call: str) -> None:
    assert "sql.DB expected" in (await fails(call)).message


FORGETFUL = """
local sql = require('sql')
return function(how)
  local db = assert(sql.get('app:db'))
  local tx = assert(db:begin())
  assert(tx:execute("INSERT INTO t VALUES (1)"))
  assert(tx:prepare("SELECT 1"))
  if how == "raise" then error("on purpose") end
  if how == "return" then return nil, "on purpose" end
  if how == "wait" then process.inbox():receive() end
  return true
end
"""


@pytest.mark.parametrize("how", ["raise", "return", "end"])
async def test_what_a_call_leaves_open_is_rolled_back(how: str) -> None:
    async with app_of(DB, function("test:forgetful", FORGETFUL, ["sql"])) as app:
        database = app.resources.get("app:db", SqlDatabase)  # type: ignore[type-abstract]
        await database.execute("CREATE TABLE t (id INTEGER)")
        if how == "end":
            await app.call("test:forgetful", how)
        else:
            with pytest.raises(Error, match="on purpose"):
                await app.call("test:forgetful", how)
        assert (await database.query("SELECT count(*) FROM t")).rows == [(0,)]
        assert database.stats().in_use == 0


@pytest.mark.parametrize("virtual", [True, False])
async def test_a_terminated_process_loses_its_transaction(virtual: bool) -> None:
    async with app_of(DB, host(), process("test:waits", FORGETFUL, ["sql"]), virtual=virtual) as app:
        database = app.resources.get("app:db", SqlDatabase)  # type: ignore[type-abstract]
        await database.execute("CREATE TABLE t (id INTEGER)")
        pid = await app.spawn("test:waits", "app:processes", "wait")
        while not database.stats().in_use:
            await app.node.processes("app:processes")
        waiting = database.query("SELECT count(*) FROM t")
        await app.terminate(pid)
        assert (await waiting).rows == [(0,)]


async def test_a_handle_follows_its_entry() -> None:
    keeps = "local db = assert(require('sql').get('app:db')) return function() return db:query('SELECT 1 AS one') end"
    async with app_of(DB, function("test:keeps", keeps, ["sql"])) as app:
        assert await app.call("test:keeps") == [{"one": 1}]
        kind = app.kinds.of(DB)
        await kind.update(DB, kind.config(file=":memory:"), DB)
        assert await app.call("test:keeps") == [{"one": 1}]
        await kind.delete(DB)
        with pytest.raises(Error) as caught:
            await app.call("test:keeps")
        assert caught.value.kind == NOT_FOUND
        await kind.add(DB, kind.config(file=":memory:"))
