;; Makes COUNT handles of a resource of its own and drops none: nothing of the host is behind them but the table of handles.
(component
  (type $r (resource (rep i32)))
  (core func $new (canon resource.new $r))
  (core module $m
    (import "r" "new" (func $new (param i32) (result i32)))
    (func (export "run") (result i32)
      (local $left i32)
      (local.set $left (i32.const COUNT))
      (loop $again
        (drop (call $new (i32.const 0)))
        (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
      (i32.const 0)))
  (core instance $m (instantiate $m (with "r" (instance (export "new" (func $new))))))
  (func $run (result (result)) (canon lift (core func $m "run")))
  (instance $run (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $run)))
