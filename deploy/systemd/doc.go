// Package systemd has the units of a service that systemd starts for the first client, and
// their tests.
package systemd
