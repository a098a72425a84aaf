;; y[i] = a*x[i] + y[i] over 4,096 doubles, n times: every result goes to memory,
;; the worst case for canonical NaNs.
(module
  (memory 1 1)
  (func (export "run") (param $n i32) (result i64) (local $p i32)
    (loop $fill
      (f64.store (local.get $p) (f64.convert_i32_u (local.get $p)))
      (br_if $fill (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 8))) (i32.const 65536))))
    (loop $again
      (local.set $p (i32.const 0))
      (loop $next
        (f64.store (local.get $p) (f64.add (f64.mul (f64.const 0.5) (f64.load offset=32768 (local.get $p))) (f64.load (local.get $p))))
        (br_if $next (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 8))) (i32.const 32768))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i64.load (i32.const 4000))))
