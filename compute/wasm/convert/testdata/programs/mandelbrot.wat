;; Iterations of z = z*z + c over a grid of n by n points, at most 200 for each.
(module
  (func (export "run") (param $n i32) (result i64)
    (local $i i32) (local $j i32) (local $k i32) (local $total i64)
    (local $x f64) (local $y f64) (local $cx f64) (local $cy f64) (local $t f64)
    (loop $row
      (local.set $cy (f64.sub (f64.div (f64.mul (f64.convert_i32_s (local.get $i)) (f64.const 2.5)) (f64.convert_i32_s (local.get $n))) (f64.const 1.25)))
      (local.set $j (i32.const 0))
      (loop $column
        (local.set $cx (f64.sub (f64.div (f64.mul (f64.convert_i32_s (local.get $j)) (f64.const 3)) (f64.convert_i32_s (local.get $n))) (f64.const 2)))
        (local.set $x (f64.const 0)) (local.set $y (f64.const 0)) (local.set $k (i32.const 0))
        (block $out
          (loop $next
            (br_if $out (f64.gt (f64.add (f64.mul (local.get $x) (local.get $x)) (f64.mul (local.get $y) (local.get $y))) (f64.const 4)))
            (local.set $t (f64.add (f64.sub (f64.mul (local.get $x) (local.get $x)) (f64.mul (local.get $y) (local.get $y))) (local.get $cx)))
            (local.set $y (f64.add (f64.mul (f64.mul (local.get $x) (local.get $y)) (f64.const 2)) (local.get $cy)))
            (local.set $x (local.get $t))
            (br_if $next (i32.lt_u (local.tee $k (i32.add (local.get $k) (i32.const 1))) (i32.const 200)))))
        (local.set $total (i64.add (local.get $total) (i64.extend_i32_u (local.get $k))))
        (br_if $column (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (local.get $n))))
      (br_if $row (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $total)))
