-- Losses and metrics of Keras over rows of class scores, aggregates.
--
-- A weight never comes third: an untyped '{...}' would be read as a number.

CREATE FUNCTION categorical_crossentropy_row(internal, float8[], float8[])
	RETURNS internal
	AS 'MODULE_PATHNAME', 'tfrs_categorical_crossentropy_row' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION categorical_crossentropy_row(internal, float8[], float8[], jsonb)
	RETURNS internal
	AS 'MODULE_PATHNAME', 'tfrs_categorical_crossentropy_row' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION categorical_crossentropy_row(internal, float8[], float8[], float8, jsonb)
	RETURNS internal
	AS 'MODULE_PATHNAME', 'tfrs_categorical_crossentropy_row' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION sparse_categorical_crossentropy_row(internal, bigint, float8[])
	RETURNS internal
	AS 'MODULE_PATHNAME', 'tfrs_sparse_categorical_crossentropy_row'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION sparse_categorical_crossentropy_row(internal, bigint, float8[], jsonb)
	RETURNS internal
	AS 'MODULE_PATHNAME', 'tfrs_sparse_categorical_crossentropy_row'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION sparse_categorical_crossentropy_row(internal, bigint, float8[], float8, jsonb)
	RETURNS internal
	AS 'MODULE_PATHNAME', 'tfrs_sparse_categorical_crossentropy_row'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION crossentropy_finish(internal) RETURNS float8
	AS 'MODULE_PATHNAME', 'tfrs_crossentropy_finish' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION top_k_categorical_accuracy_row(internal, float8[], float8[], bigint)
	RETURNS internal
	AS 'MODULE_PATHNAME', 'tfrs_top_k_accuracy_row' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION top_k_categorical_accuracy_row(internal, float8[], float8[], bigint, float8)
	RETURNS internal
	AS 'MODULE_PATHNAME', 'tfrs_top_k_accuracy_row' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION accuracy_finish(internal) RETURNS float8
	AS 'MODULE_PATHNAME', 'tfrs_accuracy_finish' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE AGGREGATE categorical_crossentropy(y_true float8[], y_pred float8[]) (
	SFUNC = categorical_crossentropy_row, STYPE = internal,
	FINALFUNC = crossentropy_finish, PARALLEL = SAFE
);

CREATE AGGREGATE categorical_crossentropy(y_true float8[], y_pred float8[],
		options jsonb) (
	SFUNC = categorical_crossentropy_row, STYPE = internal,
	FINALFUNC = crossentropy_finish, PARALLEL = SAFE
);

CREATE AGGREGATE categorical_crossentropy(y_true float8[], y_pred float8[],
		sample_weight float8, options jsonb) (
	SFUNC = categorical_crossentropy_row, STYPE = internal,
	FINALFUNC = crossentropy_finish, PARALLEL = SAFE
);

CREATE AGGREGATE sparse_categorical_crossentropy(label bigint, y_pred float8[]) (
	SFUNC = sparse_categorical_crossentropy_row, STYPE = internal,
	FINALFUNC = crossentropy_finish, PARALLEL = SAFE
);

CREATE AGGREGATE sparse_categorical_crossentropy(label bigint, y_pred float8[],
		options jsonb) (
	SFUNC = sparse_categorical_crossentropy_row, STYPE = internal,
	FINALFUNC = crossentropy_finish, PARALLEL = SAFE
);

CREATE AGGREGATE sparse_categorical_crossentropy(label bigint, y_pred float8[],
		sample_weight float8, options jsonb) (
	SFUNC = sparse_categorical_crossentropy_row, STYPE = internal,
	FINALFUNC = crossentropy_finish, PARALLEL = SAFE
);

CREATE AGGREGATE top_k_categorical_accuracy(y_true float8[], y_pred float8[],
		k bigint) (
	SFUNC = top_k_categorical_accuracy_row, STYPE = internal,
	FINALFUNC = accuracy_finish, PARALLEL = SAFE
);

CREATE AGGREGATE top_k_categorical_accuracy(y_true float8[], y_pred float8[],
		k bigint, sample_weight float8) (
	SFUNC = top_k_categorical_accuracy_row, STYPE = internal,
	FINALFUNC = accuracy_finish, PARALLEL = SAFE
);

COMMENT ON AGGREGATE categorical_crossentropy(float8[], float8[]) IS
	'Keras CategoricalCrossentropy, a row a sample';
COMMENT ON AGGREGATE categorical_crossentropy(float8[], float8[], jsonb) IS
	'Keras CategoricalCrossentropy, a row a sample';
COMMENT ON AGGREGATE categorical_crossentropy(float8[], float8[], float8, jsonb) IS
	'Keras CategoricalCrossentropy, a row a sample, weighted';
COMMENT ON AGGREGATE sparse_categorical_crossentropy(bigint, float8[]) IS
	'Keras SparseCategoricalCrossentropy, a row a sample';
COMMENT ON AGGREGATE sparse_categorical_crossentropy(bigint, float8[], jsonb) IS
	'Keras SparseCategoricalCrossentropy, a row a sample';
COMMENT ON AGGREGATE sparse_categorical_crossentropy(bigint, float8[], float8, jsonb) IS
	'Keras SparseCategoricalCrossentropy, a row a sample, weighted';
COMMENT ON AGGREGATE top_k_categorical_accuracy(float8[], float8[], bigint) IS
	'Keras TopKCategoricalAccuracy, a row a sample';
COMMENT ON AGGREGATE top_k_categorical_accuracy(float8[], float8[], bigint, float8) IS
	'Keras TopKCategoricalAccuracy, a row a sample, weighted';
