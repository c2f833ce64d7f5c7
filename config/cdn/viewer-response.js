// A CloudFront function (runtime cloudfront-js-2.0) for viewer responses: it
// tells the caches on the way that a page's URL answers in more than one form,
// depending on Accept. It goes with viewer-request.js.

var PAGE = /\/(?:index\.html|index\.v1_json)?$/;

function handler(event) {
    var response = event.response;
    if (!PAGE.test(event.request.uri)) {
        return response;
    }
    var vary = response.headers.vary;
    var lines = !vary ? [] : vary.multiValue || [vary];
    var names = lines.map(function (line) { return line.value; }).join(',').split(',').map(function (name) {
        return name.trim();
    }).filter(function (name) {
        return name !== '' && name.toLowerCase() !== 'accept';
    });
    if (names.indexOf('*') < 0) {
        names.push('Accept');
    }
    response.headers.vary = { value: names.join(', ') };
    return response;
}
