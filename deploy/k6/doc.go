// Package k6 tests the script in this folder with k6 itself, which is a tool of this module.
// The module is separate because k6 has many dependencies.
package k6
