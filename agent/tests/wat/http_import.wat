;; A guest that imports `wasi:http`, as JavaScript commands do, and calls it.
(component
  (import "wasi:http/types@0.2.4" (instance $types
    (export "fields" (type $f (sub resource)))
    (export "[constructor]fields" (func (result (own $f))))))
  (core func $new (canon lower (func $types "[constructor]fields")))
  (core module $m
    (import "http" "new" (func $new (result i32)))
    (func (export "run") (result i32) (drop (call $new)) (i32.const 0)))
  (core instance $m (instantiate $m (with "http" (instance (export "new" (func $new))))))
  (func $run (result (result)) (canon lift (core func $m "run")))
  (instance $run (export "run" (func $run)))
  (export "wasi:cli/run@0.2.12" (instance $run)))
