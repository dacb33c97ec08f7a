// Declarations of our own for one test: the part of TensorRT's C++ API that docs/cpp.md uses, with the argument
// types that NVIDIA's C++ documentation gives. Not NVIDIA's header; nothing here does anything.
#pragma once
#include <cstddef>
#include <cstdint>

#ifndef NV_TENSORRT_MAJOR
#define NV_TENSORRT_MAJOR 11
#endif
#if NV_TENSORRT_MAJOR < 10
using Extent = int32_t;
#else
using Extent = int64_t;
#endif

struct CUstream_st;
using cudaStream_t = CUstream_st*;

namespace nvinfer1 {
class Dims {};
class Dims4 : public Dims {
public:
    Dims4(Extent, Extent, Extent, Extent) {}
};
class ILogger {
public:
    enum class Severity : int32_t { kINTERNAL_ERROR, kERROR, kWARNING, kINFO, kVERBOSE };
    virtual void log(Severity severity, char const* msg) noexcept = 0;
    virtual ~ILogger() = default;
};
#if NV_TENSORRT_MAJOR < 11
enum class NetworkDefinitionCreationFlag : int32_t { kEXPLICIT_BATCH };
#endif
enum class BuilderFlag : int32_t { kTF32 };
enum class OptProfileSelector : int32_t { kMIN, kOPT, kMAX };
class IHostMemory {
public:
    virtual ~IHostMemory() = default;
    void* data() const noexcept;
    std::size_t size() const noexcept;
};
class INetworkDefinition {
public:
    virtual ~INetworkDefinition() = default;
};
class IOptimizationProfile {
public:
    bool setDimensions(char const* inputName, OptProfileSelector select, Dims const& dims) noexcept;
};
class IBuilderConfig {
public:
    virtual ~IBuilderConfig() = default;
    void clearFlag(BuilderFlag builderFlag) noexcept;
    int32_t addOptimizationProfile(IOptimizationProfile const* profile) noexcept;
};
class IBuilder {
public:
    virtual ~IBuilder() = default;
    INetworkDefinition* createNetworkV2(uint32_t flags) noexcept;
    IBuilderConfig* createBuilderConfig() noexcept;
    IOptimizationProfile* createOptimizationProfile() noexcept;
    IHostMemory* buildSerializedNetwork(INetworkDefinition& network, IBuilderConfig& config) noexcept;
};
class IExecutionContext {
public:
    virtual ~IExecutionContext() = default;
    bool setInputShape(char const* tensorName, Dims const& dims) noexcept;
    bool setTensorAddress(char const* tensorName, void* data) noexcept;
    bool enqueueV3(cudaStream_t stream) noexcept;
};
class ICudaEngine {
public:
    virtual ~ICudaEngine() = default;
    IExecutionContext* createExecutionContext() noexcept;
};
class IRuntime {
public:
    virtual ~IRuntime() = default;
    ICudaEngine* deserializeCudaEngine(void const* blob, std::size_t size) noexcept;
};
IBuilder* createInferBuilder(ILogger& logger) noexcept;
IRuntime* createInferRuntime(ILogger& logger) noexcept;
}  // namespace nvinfer1
