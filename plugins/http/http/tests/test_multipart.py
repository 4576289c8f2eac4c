"""Forms with files."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wippy.errors import Error
from wippy_plugin_http.multipart import parse_form

SHOW = """
local form, err = req:parse_multipart(%s)
if err then return nil, err end
local files = {}
for name, list in pairs(form.files) do
  files[name] = {}
  for i, file in ipairs(list) do
    local stream = file:stream()
    local first = stream:read(3)
    local rest = stream:read(0)
    files[name][i] = {
      name = file:name(), size = file:size(), type = file:header("content-type"), none = file:header("x") == nil,
      text = (first or "") .. (rest or ""), last = stream:read(1) == nil, again = #(file:stream():read() or ""),
    }
    stream:close()
  end
end
return {values = form.values, files = files, same = form == req:parse_multipart()}
"""


@pytest.mark.parametrize("memory", ["", "10"])
async def test_values_and_files(http, path_kind, memory):
    async with http.serve({"POST /": SHOW % memory}) as site:
        response = await site.post(
            "/",
            data={"title": "Größe", "tags": ["a", "b"], "empty": ""},
            files=[
                ("avatar", ("photo.jpg", b"\xffbinary"[1:] * 1000, "image/jpeg")),
                ("documents", ("a.txt", b"first", "text/plain")),
                ("documents", ("b.txt", b"", "text/plain")),
            ],
        )
        answer = response.json()
        assert answer["values"] == {"title": "Größe", "tags": "a,b", "empty": ""}
        assert answer["same"] is True
        avatar = answer["files"]["avatar"][0]
        assert avatar == {
            "name": "photo.jpg", "size": 6000, "type": "image/jpeg", "none": True, "text": "binary" * 1000, "last": True,
            "again": 6000,
        }  # fmt: skip
        assert [(f["name"], f["text"], f["size"]) for f in answer["files"]["documents"]] == [
            ("a.txt", "first", 5),
            ("b.txt", "", 0),
        ]


async def test_what_is_no_form(http):
    late = "req:body() return select(2, req:parse_multipart()):details().type"
    async with http.serve({"POST /": SHOW % "", "POST /read": late}) as site:
        response = await site.post("/", json={})
        assert response.status_code == 400
        assert response.json() == {"error": "the request is not multipart/form-data", "kind": "Invalid"}
        for content, kind in ((b"garbage", "multipart/form-data; boundary=x"), (b"--x", "multipart/form-data; boundary=x"),
                              (b"", "multipart/form-data")):  # fmt: skip
            response = await site.post("/", content=content, headers={"Content-Type": kind})
            assert response.status_code == 400, response.text
        assert (await site.post("/read", files={"a": b"b"})).text == "STREAM_ERROR"


async def test_a_form_that_is_too_large(http):
    source = "local form, err = http.request({max_body = 1000}):parse_multipart() return form, err"
    async with http.serve({"POST /": source}) as site:
        assert (await site.post("/", files={"a": b"x" * 2000})).status_code == 413


def encoded(parts, boundary=b"bound"):
    body = b""
    for name, filename, data in parts:
        extra = b'; filename="%s"' % filename if filename is not None else b""
        body += b'--%s\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n' % (boundary, name, extra, data)
    return body + b"--%s--\r\n" % boundary


def source_of(body, size):
    chunks = [body[at : at + size] for at in range(0, len(body), size)]

    async def read():
        return chunks.pop(0) if chunks else b""

    return read


names = st.text("abc", min_size=1, max_size=3).map(str.encode)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(names, st.none() | names, st.binary(max_size=60).filter(lambda b: b"--bound" not in b)), max_size=5
    ),
    st.integers(1, 50),
    st.integers(0, 20),
)
async def test_any_form_cut_anywhere_comes_back(parts, size, memory):
    form = await parse_form(source_of(encoded(parts), size), b"multipart/form-data; boundary=bound", memory)
    files = [(u.name.encode(), u.filename.encode(), u.read(0, 0)) for u in form.uploads]
    assert files == [p for p in parts if p[1] is not None]
    values = {}
    for name, filename, data in parts:
        if filename is None:
            values.setdefault(name.decode(), []).append(data.decode("utf-8", "replace"))
    assert form.values == values
    for upload in form.uploads:
        upload.close()


@settings(deadline=None)
@given(st.lists(st.tuples(names, st.none() | names, st.binary(max_size=20)), min_size=1, max_size=3), st.data())
async def test_a_form_that_is_cut_off_is_an_error(parts, data):
    body = encoded(parts)
    end = body.index(b"--bound--") if body.count(b"--bound--") == 1 else 1
    with pytest.raises(Error) as caught:
        await parse_form(
            source_of(body[: data.draw(st.integers(0, end))], 7), b"multipart/form-data; boundary=bound", 100
        )
    assert caught.value.kind == "Invalid"


async def test_limits():
    form = b"multipart/form-data; boundary=bound"
    with pytest.raises(Error, match="more than 1000 parts"):
        await parse_form(source_of(encoded([(b"a", None, b"")] * 1001), 5000), form, 0)
    with pytest.raises(Error, match='"a" has more than'):
        await parse_form(source_of(encoded([(b"a", None, b"x" * (11 << 20))]), 1 << 20), form, 0)
