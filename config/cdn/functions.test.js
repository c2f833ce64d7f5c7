'use strict';
// node --test config/cdn

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const vm = require('node:vm');

// load runs a function's file the way CloudFront does: as a script of its own
// that defines handler, with nothing of Node in reach.
function load(name) {
    const context = vm.createContext(Object.create(null));
    vm.runInContext(fs.readFileSync(path.join(__dirname, name), 'utf8'), context, { filename: name });
    return (event) => {
        const result = vm.runInContext('handler', context)(structuredClone(event));
        return JSON.parse(JSON.stringify(result));
    };
}

const onRequest = load('viewer-request.js');
const onResponse = load('viewer-response.js');

function request(uri, accept) {
    const headers = { host: { value: 'download.example.org' } };
    if (accept !== undefined) {
        headers.accept = Array.isArray(accept)
            ? { value: accept[0], multiValue: accept.map((value) => ({ value })) }
            : { value: accept };
    }
    return {
        version: '1.0',
        context: { eventType: 'viewer-request' },
        viewer: { ip: '198.51.100.7' },
        request: { method: 'GET', uri, querystring: { a: { value: '1' } }, headers, cookies: {} },
    };
}

const JSON_PAGE = 'index.v1_json';
const HTML_PAGE = 'index.html';
const V1_JSON = 'application/vnd.pypi.simple.v1+json';
const V1_HTML = 'application/vnd.pypi.simple.v1+html';
const PIP = `${V1_JSON}, ${V1_HTML}; q=0.1, text/html; q=0.01`;
const UV = `${V1_JSON}, ${V1_HTML};q=0.2, text/html;q=0.01`;
const BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8';

const LANE_FOLDERS = [
    '/whl/spyre/', '/whl/spyre/torch/', '/whl/spyre/torch-tensorrt/', '/whl/nightly/spyre/', '/whl/nightly/spyre/torch/',
    '/whl/test/spyre/', '/whl/test/spyre/torch/', '/libtorch/spyre/', '/libtorch/nightly/spyre/', '/libtorch/test/spyre/',
    '/whl/x2/', '/whl/testbed/torch/', '/whl/nightlyfoo/torch/', '/whl/custom/torch/',
];

test('Accept chooses the page', async (t) => {
    for (const [name, accept, page] of [
        ['pip', PIP, JSON_PAGE],
        ['uv', UV, JSON_PAGE],
        ['a browser', BROWSER, HTML_PAGE],
        ['curl', '*/*', HTML_PAGE],
        ['no header', undefined, HTML_PAGE],
        ['an empty header', '', HTML_PAGE],
        ['an old pip', 'text/html', HTML_PAGE],
        ['HTML by its own name', V1_HTML, HTML_PAGE],
        ['the latest HTML', 'application/vnd.pypi.simple.latest+html', HTML_PAGE],
        ['JSON alone', V1_JSON, JSON_PAGE],
        ['the latest JSON', 'application/vnd.pypi.simple.latest+json', JSON_PAGE],
        ['JSON that is not ours', 'application/json', HTML_PAGE],
        ['a version to come', 'application/vnd.pypi.simple.v2+json', HTML_PAGE],
        ['a version to come, or this one', `application/vnd.pypi.simple.v2+json, ${V1_JSON};q=0.5`, JSON_PAGE],
        ['HTML rather than JSON', `${V1_JSON};q=0.5, text/html`, HTML_PAGE],
        ['JSON rather than HTML', `text/html;q=0.5, ${V1_JSON}`, JSON_PAGE],
        ['a difference in the third digit', `text/html;q=0.998, ${V1_JSON};q=0.999`, JSON_PAGE],
        ['both alike', `text/html, ${V1_JSON}`, JSON_PAGE],
        ['JSON, or anything', `${V1_JSON}, */*`, JSON_PAGE],
        ['JSON, or anything a little less', `${V1_JSON}, */*;q=0.1`, JSON_PAGE],
        ['anything of application', 'application/*', HTML_PAGE],
        ['HTML, or anything', 'text/html, */*', HTML_PAGE],
        ['anything but HTML', `*/*, text/html;q=0, ${V1_HTML};q=0, application/vnd.pypi.simple.latest+html;q=0`, JSON_PAGE],
        ['anything but JSON', `${V1_JSON};q=0, */*`, HTML_PAGE],
        ['no JSON', `${V1_JSON};q=0`, HTML_PAGE],
        ['no JSON, in full', `${V1_JSON};q=0.000`, HTML_PAGE],
        ['nothing at all', '*/*;q=0', HTML_PAGE],
        ['capitals', V1_JSON.toUpperCase() + ' ; Q=1.0', JSON_PAGE],
        ['other parameters', `${V1_JSON};charset=utf-8;q=0.7, text/html;q=0.6`, JSON_PAGE],
        ['a quality that is no number', `${V1_JSON};q=high, text/html;q=0.1`, HTML_PAGE],
        ['a quality beyond 1', `${V1_JSON};q=7, text/html;q=0.1`, HTML_PAGE],
        ['a negative quality', `${V1_JSON};q=-1, text/html;q=0.1`, HTML_PAGE],
        ['nonsense', ';;,,=,q=1;/', HTML_PAGE],
        ['names of Object', 'constructor, __proto__, toString;q=1', HTML_PAGE],
        ['two lines', ['text/html;q=0.1', V1_JSON], JSON_PAGE],
        ['two lines, the other way', ['text/html', `${V1_JSON};q=0.1`], HTML_PAGE],
        ['a very long header', 'a/b,'.repeat(5000) + V1_JSON, JSON_PAGE],
    ]) {
        await t.test(name, () => {
            for (const uri of LANE_FOLDERS) {
                const event = request(uri, accept);
                const want = structuredClone(event.request);
                want.uri = uri + page;
                assert.deepEqual(onRequest(event), want);
            }
        });
    }
});

test('everything else is left alone', async (t) => {
    for (const uri of [
        '', '/', '/index.html', '/whl/', '/whl', '/libtorch/', '/models/resnet18-5c106cde.pth', '/models/spyre/',
        // Pages by their names, files, sidecars.
        '/whl/spyre/index.html', '/whl/spyre/index.v1_json', '/whl/spyre/torch/index.html', '/whl/spyre/removals.json',
        '/whl/spyre/torch-2.9.0%2Bspyre-cp312-cp312-manylinux_2_28_x86_64.whl',
        '/whl/spyre/torch-2.9.0%2bspyre-cp312-cp312-manylinux_2_28_x86_64.whl.metadata',
        '/whl/nightly/spyre/torch-2.9.0+spyre-cp312-cp312-linux_x86_64.whl',
        '/whl/nightly/spyre/torch-2.9.0%2Bspyre-cp312-cp312-linux_x86_64.whl.provenance',
        '/libtorch/nightly/spyre/libtorch-shared-with-deps-2.9.0%2Bspyre.zip',
        // The index's own folders, which have no JSON page.
        '/whl/nightly/', '/whl/test/', '/whl/cpu/', '/whl/cpu/torch/', '/whl/cu128/torch/', '/whl/cu/', '/whl/cu12.8/', '/whl/rocm6.4/torch/', '/whl/rocm/', '/whl/xpu/torch/',
        '/whl/nightly/cpu/', '/whl/nightly/cu130/torch/', '/whl/nightly/rocm7/torchvision/', '/whl/test/xpu/torch/', '/whl/preview/torch/', '/whl/variant/torch/',
        '/whl/torch/', '/whl/numpy/', '/whl/torchvision/', '/whl/nightly/torch/', '/whl/nightly/pytorch-triton/', '/whl/nightly/sympy/', '/whl/typing-extensions/',
        '/libtorch/cpu/', '/libtorch/nightly/cu128/', '/libtorch/spyre/folder/',
        // No lane's name, no project's name, no path of ours.
        '/whl/Spyre/', '/whl/s/', '/whl/9lives/', '/whl/spy-re/', `/whl/${'x'.repeat(32)}/`, '/whl/spyre/Torch/', '/whl/spyre/torch_tensorrt/', '/whl/spyre/torch--x/', '/whl/spyre/-torch/',
        '/whl/spyre/torch/more/', '/whl/spyre//', '/whl//spyre/', '//whl/spyre/', '/whl/nightly/nightly/spyre/', '/whl/%73pyre/', '/whl/spyre/../cpu/', '/_lanes/spyre/', '/WHL/spyre/',
        // And the same without the slash.
        '/whl/cpu', '/whl/cpu/torch', '/whl/nightly', '/whl/nightly/cpu', '/whl/torch', '/libtorch', '/libtorch/cpu', '//whl/spyre', '/whl/spyre\n', '/whl/spyre/torch%0A',
    ]) {
        await t.test(uri, () => {
            const event = request(uri, PIP);
            assert.deepEqual(onRequest(event), event.request);
        });
    }
});

test('a folder without its slash is redirected for now', () => {
    for (const uri of LANE_FOLDERS) {
        const answer = onRequest(request(uri.slice(0, -1), PIP));
        assert.ok([302, 307].includes(answer.statusCode), `${answer.statusCode} would be kept for ever`);
        assert.equal(answer.headers.location.value, uri);
    }
});

test('pages say that they depend on Accept', async (t) => {
    for (const [name, uri, vary, want] of [
        ['a page', '/whl/spyre/torch/index.html', undefined, 'Accept'],
        ['as JSON', '/whl/spyre/torch/index.v1_json', undefined, 'Accept'],
        ['by its folder', '/whl/spyre/torch/', undefined, 'Accept'],
        ['beside others', '/whl/spyre/', { value: 'Accept-Encoding' }, 'Accept-Encoding, Accept'],
        ['beside several lines', '/whl/spyre/', { value: 'a', multiValue: [{ value: 'a' }, { value: 'b,c' }] }, 'a, b, c, Accept'],
        ['once', '/whl/spyre/', { value: 'accept, Origin' }, 'Origin, Accept'],
        ['on everything already', '/whl/spyre/', { value: '*' }, '*'],
        ['a wheel', '/whl/spyre/torch-2.9.0%2Bspyre-py3-none-any.whl', undefined, undefined],
        ['a wheel with another Vary', '/whl/spyre/x.whl', { value: 'Origin' }, 'Origin'],
        ['the feed', '/whl/spyre/removals.json', undefined, undefined],
    ]) {
        await t.test(name, () => {
            const event = request(uri, PIP);
            event.response = { statusCode: 200, headers: { etag: { value: '"x"' } }, cookies: {} };
            if (vary) {
                event.response.headers.vary = vary;
            }
            const got = onResponse(event);
            assert.equal(got.headers.vary && got.headers.vary.value, want);
            assert.deepEqual(got.headers.etag, { value: '"x"' });
            assert.equal(got.statusCode, 200);
        });
    }
});
