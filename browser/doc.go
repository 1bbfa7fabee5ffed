// Package browser tests the page of package console in Chromium, with the built command.
// The module is separate because of its driver for the browser.
package browser
