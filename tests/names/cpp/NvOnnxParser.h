// Declarations of our own for one test, see NvInfer.h here.
#pragma once
#include "NvInfer.h"

namespace nvonnxparser {
class IParserError {
public:
    virtual char const* desc() const = 0;
};
class IParser {
public:
    virtual ~IParser() = default;
    virtual bool parseFromFile(char const* onnxModelFile, int verbosity) = 0;
    virtual int32_t getNbErrors() const = 0;
    virtual IParserError const* getError(int32_t index) const = 0;
};
IParser* createParser(nvinfer1::INetworkDefinition& network, nvinfer1::ILogger& logger);
}  // namespace nvonnxparser
