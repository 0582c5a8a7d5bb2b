;; Creates a TCP socket and exits with an error when it gets one: behind each is a file descriptor of the runner.
(component
  (import "wasi:sockets/tcp@0.2.0" (instance $tcp (export "tcp-socket" (type (sub resource)))))
  (alias export $tcp "tcp-socket" (type $socket))
  (import "wasi:sockets/tcp-create-socket@0.2.0" (instance $create
    (alias outer 1 $socket (type $s))
    (export "tcp-socket" (type $tcp-socket (eq $s)))
    (type $f (enum "ipv4" "ipv6"))
    (export "ip-address-family" (type $family (eq $f)))
    (type $e (enum "unknown" "access-denied" "not-supported" "invalid-argument" "out-of-memory" "timeout"
      "concurrency-conflict" "not-in-progress" "would-block" "invalid-state" "new-socket-limit" "address-not-bindable"
      "address-in-use" "remote-unreachable" "connection-refused" "connection-reset" "connection-aborted"
      "datagram-too-large" "name-unresolvable" "temporary-resolver-failure" "permanent-resolver-failure"))
    (export "error-code" (type $error-code (eq $e)))
    (export "create-tcp-socket" (func
      (param "address-family" $family) (result (result (own $tcp-socket) (error $error-code)))))))
  (core module $mem (memory (export "memory") 1))
  (core instance $mem (instantiate $mem))
  (alias core export $mem "memory" (core memory $memory))
  (core func $new (canon lower (func $create "create-tcp-socket") (memory $memory)))
  (core module $m
    (import "mem" "memory" (memory 1))
    (import "tcp" "new" (func $new (param i32 i32)))
    (func (export "run") (result i32)
      (call $new (i32.const 0) (i32.const 16))
      ;; 1 is an error, and the second `error-code` is that access is denied.
      (i32.eqz (i32.and (i32.load8_u (i32.const 16)) (i32.eq (i32.load8_u (i32.const 20)) (i32.const 1))))))
  (core instance $m (instantiate $m
    (with "mem" (instance $mem)) (with "tcp" (instance (export "new" (func $new))))))
  (func $run (result (result)) (canon lift (core func $m "run")))
  (instance $run (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $run)))
