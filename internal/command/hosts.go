package command

import (
	"fmt"
	"net/url"
	"strings"

	"golang.org/x/net/idna"
)

// asciiHost converts the labels of a host or pattern that are not ASCII (RFC 5891), as
// browsers do. A header contains only the result. It does not check the others.
func asciiHost(host string) (string, error) {
	labels := strings.Split(strings.NewReplacer("。", ".", "．", ".", "｡", ".").Replace(host), ".")
	for i, label := range labels {
		if isASCII(label) {
			continue
		}
		ascii, err := idna.Lookup.ToASCII(label)
		if err != nil {
			return "", fmt.Errorf("%q has no form in ASCII: %w", host, err)
		}
		labels[i] = ascii
	}
	return strings.Join(labels, "."), nil
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 })
}

// asciiOrigin converts the host of an origin, a pattern for origins, or a host with or
// without a port.
func asciiOrigin(origin string) (string, error) {
	scheme, host, ok := strings.Cut(origin, "://")
	if !ok {
		scheme, host = "", scheme
	} else {
		scheme += "://"
	}
	host, port, ok := strings.Cut(host, ":")
	if ok {
		port = ":" + port
	}
	host, err := asciiHost(host)
	return scheme + host + port, err
}

// asciiOrigins converts each of the origins of a flag.
func asciiOrigins(flag string, origins []string) ([]string, error) {
	var ascii []string
	for _, o := range origins {
		a, err := asciiOrigin(o)
		if err != nil {
			return nil, usageError{fmt.Errorf("%s: %w", flag, err)}
		}
		ascii = append(ascii, a)
	}
	return ascii, nil
}

// asciiURL converts the host of a URL. It leaves what is no URL to the check of URLs.
func asciiURL(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || isASCII(u.Host) {
		return text, nil
	}
	u.Host, err = asciiOrigin(u.Host)
	if err != nil {
		return "", usageError{err}
	}
	return u.String(), nil
}
